package scalers

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/weir-sh/weir/pkg/scalers/param"
)

// show prints settings or a query for people: the fields that are set, by name,
// with every secret redacted. Package fmt would print the address behind a
// secret, which says nothing and differs from run to run. Values that differ
// only in their secrets look the same.
func show(v any) string {
	if v == nil {
		return ""
	}
	var b strings.Builder
	write(&b, reflect.ValueOf(v))
	return b.String()
}

// write never calls methods of v: fields of scalers are unexported.
func write(b *strings.Builder, v reflect.Value) {
	switch v.Type() {
	case reflect.TypeFor[param.Secret]():
		b.WriteString(param.Secret{}.String())
	case reflect.TypeFor[param.URL]():
		b.WriteString(v.FieldByName("Base").String())
	case reflect.TypeFor[param.List]():
		b.WriteString(strings.ReplaceAll(v.Field(0).String(), "\x00", ","))
	case reflect.TypeFor[time.Duration]():
		b.WriteString(time.Duration(v.Int()).String())
	default:
		if v.Kind() != reflect.Struct {
			fmt.Fprint(b, v)
			return
		}
		writeFields(b, v)
	}
}

func writeFields(b *strings.Builder, v reflect.Value) {
	b.WriteByte('{')
	sep := ""
	for f, field := range v.Fields() {
		if field.IsZero() {
			continue
		}
		b.WriteString(sep + f.Name + ":")
		write(b, field)
		sep = " "
	}
	b.WriteByte('}')
}
