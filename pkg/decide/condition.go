package decide

// Status is the status of a condition. Its zero value leaves the condition as it is.
type Status string

// The statuses, as Kubernetes writes them.
const (
	StatusTrue    Status = "True"
	StatusFalse   Status = "False"
	StatusUnknown Status = "Unknown"
)

// ConditionReason is the reason of a condition, as users' tools know it from the
// keda.sh API.
type ConditionReason string

// The reasons of conditions.
const (
	ScaledObjectReady           ConditionReason = "ScaledObjectReady"           // Ready is True
	PartialTriggerError         ConditionReason = "PartialTriggerError"         // Ready is Unknown: active, but some trigger fails
	TriggerError                ConditionReason = "TriggerError"                // Ready is False: not active, and some trigger fails
	ErrorGettingCurrentReplicas ConditionReason = "ErrorGettingCurrentReplicas" // Ready is False: the target cannot be read
	ScalerActive                ConditionReason = "ScalerActive"                // Active is True
	ScalerNotActive             ConditionReason = "ScalerNotActive"             // Active is False
	ScalerCooldown              ConditionReason = "ScalerCooldown"              // Active is False, and the cooldown runs
	ScaledObjectPaused          ConditionReason = "ScaledObjectPaused"          // Paused is True, in one direction or both
	ScaledObjectUnpaused        ConditionReason = "ScaledObjectUnpaused"        // Paused is False
	FallbackExists              ConditionReason = "FallbackExists"              // Fallback is True
	NoFallbackFound             ConditionReason = "NoFallbackFound"             // Fallback is False
)

// Condition is what a condition of the object should say. An empty Status leaves it
// as it is. The Message holds no running values, so equal situations give equal
// conditions and nothing is written at rest.
type Condition struct {
	Status  Status
	Reason  ConditionReason
	Message string
}

func ready() Condition {
	return Condition{StatusTrue, ScaledObjectReady, "the object is ready for scaling"}
}

// readyWhileActive is Ready of an active object. The decision that wakes it leaves
// partial errors to the next one, soon after, as KEDA does.
func (s *situation) readyWhileActive(a Action) Condition {
	if !s.fails() || a == Activate {
		return ready()
	}
	return Condition{StatusUnknown, PartialTriggerError, s.failures()}
}

func active(why string) Condition {
	return Condition{StatusTrue, ScalerActive, why}
}

func notActive() Condition {
	return Condition{StatusFalse, ScalerNotActive, "no trigger has work"}
}

// pausedCondition is True for a pause in one direction as well, with a message that
// tells which.
func (s *situation) pausedCondition() Condition {
	c := Condition{StatusTrue, ScaledObjectPaused, ""}
	switch {
	case s.paused():
		c.Message = "scaling is paused by annotation"
	case s.PausedScaleIn && s.PausedScaleOut:
		c.Message = "scale-in and scale-out are paused by annotation"
	case s.PausedScaleIn:
		c.Message = "scale-in is paused by annotation"
	case s.PausedScaleOut:
		c.Message = "scale-out is paused by annotation"
	default:
		c = Condition{StatusFalse, ScaledObjectUnpaused, "scaling is not paused"}
	}
	return c
}

func (s *situation) fallbackCondition() Condition {
	for _, t := range s.triggers {
		if t.FallbackActive && s.Fallback {
			return Condition{StatusTrue, FallbackExists, "the fallback stands in for at least one trigger"}
		}
	}
	return Condition{StatusFalse, NoFallbackFound, "no fallback is in use"}
}
