package decide

// Reason is the stable code of the rule that decided. Codes are API: they are in
// logs, metrics and users' alerts.
type Reason string

// The reasons, in the order in which their rules are tried.
const (
	Paused          Reason = "Paused"          // The object is paused by annotation.
	ReplicasUnknown Reason = "ReplicasUnknown" // The replica count of the target cannot be read, so nothing is scaled.
	ScaleOutPaused  Reason = "ScaleOutPaused"  // The object is active and would wake, but scale-out is paused by annotation.
	WorkWaiting     Reason = "WorkWaiting"     // A trigger has work: wake the workload, or leave it to the HPA when it is awake.
	FallbackActive  Reason = "FallbackActive"  // A trigger failed for so long that its fallback counts as work.
	ResourceOnly    Reason = "ResourceOnly"    // All triggers are cpu or memory, which need a replica to be measured.
	Forced          Reason = "Forced"          // No trigger has work, but the force-activation annotation counts as work.
	NoTriggers      Reason = "NoTriggers"      // The object has no trigger to decide by.
	NotMeasured     Reason = "NotMeasured"     // A trigger has not been measured yet, so nothing is scaled.
	TriggersFailing Reason = "TriggersFailing" // A trigger cannot be read and none has work: replicas stay where they are.
	ScaleInPaused   Reason = "ScaleInPaused"   // The workload would go to rest, but scale-in is paused by annotation.
	CoolingDown     Reason = "CoolingDown"     // The workload would go to rest, but the cooldown has not passed.
	Drained         Reason = "Drained"         // No trigger has work and the cooldown has passed: go to rest.
	BelowMinPaused  Reason = "BelowMinPaused"  // There are fewer replicas than the minimum, but scale-out is paused by annotation.
	BelowMin        Reason = "BelowMin"        // There are fewer replicas than the minimum: set the minimum.
	AtRest          Reason = "AtRest"          // No trigger has work and there is nothing to do.
)

// ReasonDoc documents one reason.
type ReasonDoc struct {
	Reason Reason
	Text   string // one sentence
}

// Reasons returns all reasons in the order in which their rules are tried. The
// reference page is generated from it.
func Reasons() []ReasonDoc {
	var docs []ReasonDoc
	for _, r := range rules() {
		docs = append(docs, ReasonDoc{r.reason, r.text})
	}
	return docs
}
