package jobs

// Reason is the stable code of the rule that decided. Codes are API: they are in
// logs, metrics and users' alerts.
type Reason string

// The reasons, in the order in which their rules are tried.
const (
	Paused          Reason = "Paused"          // The object is paused by annotation: no Job is created.
	JobsUnknown     Reason = "JobsUnknown"     // The Jobs cannot be read, so none is created.
	BackingOff      Reason = "BackingOff"      // Jobs are wanted, but creating one failed a moment ago: the next poll tries again.
	BelowMin        Reason = "BelowMin"        // There are fewer Jobs than the minimum: create those that are missing.
	RoundOver       Reason = "RoundOver"       // The strategy wants more Jobs, but has created some for these readings: wait for the next poll.
	WorkWaiting     Reason = "WorkWaiting"     // The work asks for more Jobs than there are: create the rest.
	AtMax           Reason = "AtMax"           // There is work, but there are as many Jobs as the maximum allows.
	Covered         Reason = "Covered"         // There is work, but it asks for no more Jobs than there are.
	NotMeasured     Reason = "NotMeasured"     // A trigger has not been measured yet and none has work.
	TriggersFailing Reason = "TriggersFailing" // A trigger cannot be read and none has work.
	NoWork          Reason = "NoWork"          // No trigger has work.
)

// ReasonDoc documents one reason.
type ReasonDoc struct {
	Reason Reason
	Text   string // one sentence
}

// Reasons returns all reasons in the order in which their rules are tried.
func Reasons() []ReasonDoc {
	var docs []ReasonDoc
	for _, r := range rules() {
		docs = append(docs, ReasonDoc{r.reason, r.text})
	}
	return docs
}
