package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/weir-sh/weir/pkg/triggers"
)

// verdict is what the rules say of an object.
type verdict struct{ problems, warnings []triggers.Problem }

func (v *verdict) add(problems, warnings []triggers.Problem) {
	v.problems, v.warnings = append(v.problems, problems...), append(v.warnings, warnings...)
}

// judge applies the rules of one kind to the object of a request.
type judge func(ctx context.Context, req *admission.Request) (verdict, error)

// undecodableError says that the request is not what its kind says. The API server
// has checked the schema, so that only others than it send such.
type undecodableError struct{ err error }

// Error implements error.
func (e *undecodableError) Error() string { return "the object cannot be decoded: " + e.err.Error() }

// reviewer makes a handler of a judge: what is out of scope is let through unseen,
// and what cannot be judged is let through with a warning.
func (s *Server) reviewer(judge judge) admission.HandlerFunc {
	return func(ctx context.Context, req admission.Request) admission.Response {
		if !s.concerned(&req) {
			return admission.Allowed("")
		}
		start := time.Now()
		v, err := contained(ctx, judge, &req)
		if err != nil {
			if wrong, ok := err.(*undecodableError); ok { //nolint:errorlint // made by decode, never wrapped
				return admission.Errored(http.StatusBadRequest, wrong)
			}
			s.cfg.Log.Error("judging an object failed; it was let through", slog.String("kind", req.Kind.Kind),
				slog.String("object", req.Namespace+"/"+req.Name), slog.Any("error", err))
			return admission.Allowed("").WithWarnings("weir could not check this object: " + err.Error())
		}
		triggers.Sort(v.problems)
		s.tell(&req, v, time.Since(start))
		return v.response()
	}
}

// concerned reports whether the request is for weir to judge.
func (s *Server) concerned(req *admission.Request) bool {
	served := len(s.cfg.Namespaces) == 0 || req.Namespace == "" || slices.Contains(s.cfg.Namespaces, req.Namespace)
	return served && req.SubResource == "" && (req.Operation == admissionv1.Create || req.Operation == admissionv1.Update)
}

// contained turns a panic, most likely in a scaler's rules, into an error.
func contained(ctx context.Context, judge judge, req *admission.Request) (v verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a rule panicked: %v", p)
		}
	}()
	return judge(ctx, req)
}

// tell logs a refusal and has the answer counted.
func (s *Server) tell(req *admission.Request, v verdict, took time.Duration) {
	out := Outcome{
		Kind: req.Kind.Kind, Namespace: req.Namespace, Name: req.Name,
		Action: strings.ToLower(string(req.Operation)), Took: took,
	}
	for _, p := range v.problems {
		if reason := string(p.Reason); !slices.Contains(out.Reasons, reason) {
			out.Reasons = append(out.Reasons, reason)
		}
	}
	if len(out.Reasons) > 0 {
		s.cfg.Log.Info("object refused", slog.String("kind", out.Kind), slog.String("object", req.Namespace+"/"+req.Name),
			slog.String("action", out.Action), slog.String("reasons", strings.Join(out.Reasons, ",")))
	}
	s.cfg.Observe(out)
}

// response is the answer to the API server. Several problems are one per line,
// since people read them in a terminal.
func (v verdict) response() admission.Response {
	r := admission.Allowed("")
	if len(v.problems) > 0 {
		r = admission.Denied(list(v.problems))
		r.Result.Reason = metav1.StatusReasonForbidden
	}
	warnings := make([]string, len(v.warnings))
	for i, w := range v.warnings {
		warnings[i] = w.String()
	}
	return r.WithWarnings(warnings...)
}

// list prints problems: one as it is, more as a list.
func list(problems []triggers.Problem) string {
	if len(problems) == 1 {
		return problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems:", len(problems))
	for _, p := range problems {
		b.WriteString("\n- " + p.String())
	}
	return b.String()
}

// decode reads the object of a request and, of an update, what it was.
func decode[T any](req *admission.Request) (now, before *T, err error) {
	now = new(T)
	if err := json.Unmarshal(req.Object.Raw, now); err != nil {
		return nil, nil, &undecodableError{err}
	}
	if req.Operation != admissionv1.Update {
		return now, nil, nil
	}
	before = new(T)
	if err := json.Unmarshal(req.OldObject.Raw, before); err != nil {
		return nil, nil, &undecodableError{err}
	}
	return now, before, nil
}
