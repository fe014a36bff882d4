{{/*
Combinations that cannot work are refused, all at once, each with the keys that it is about. What one key alone can say
wrong is the schema's.
*/}}
{{- define "marketplace.validate" -}}
{{- $problems := list -}}
{{- range list "marketplace.problems.core" -}}
{{- range include . $ | splitList "\n" -}}
{{- with trim . -}}
{{- $problems = append $problems . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "these values cannot work together:\n- %s" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}

{{/* One problem a line. */}}
{{- define "marketplace.problems.core" -}}
{{- end -}}
