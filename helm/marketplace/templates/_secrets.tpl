{{/*
Secrets that are made once. What is in the cluster stays: `lookup` finds it at an upgrade, and after `helm uninstall` too,
for they are kept then, as the volumes are whose data they open. Renderers without a cluster (`helm template`, Argo CD) make
new values each time: they need `existingSecret`.
*/}}

{{/* (dict "root" $ "component" name "data" (dict key "kind of value")); kinds: token, events, text. */}}
{{- define "marketplace.generatedSecret" -}}
{{- $name := include "marketplace.componentName" . -}}
{{- $kept := dig "data" dict (lookup "v1" "Secret" .root.Release.Namespace $name | default dict) -}}
apiVersion: v1
kind: Secret
metadata:
  {{- include "marketplace.metadata" (merge (dict "annotations" (dict "helm.sh/resource-policy" "keep")) .) | nindent 2 }}
type: Opaque
data:
  {{- range $key, $kind := .data }}
  {{ $key }}: {{ get $kept $key | default (include "marketplace.newSecret" $kind | b64enc) }}
  {{- end }}
{{- end -}}

{{/* A new value: 32 random bytes from the system, in the form that its reader wants. */}}
{{- define "marketplace.newSecret" -}}
{{- $bytes := randBytes 32 -}}
{{- if eq . "token" -}}
{{- printf "mp_%s" ($bytes | replace "+" "-" | replace "/" "_" | trimAll "=") -}}
{{- else if eq . "events" -}}
{{- printf "whsec_%s" $bytes -}}
{{- else -}}
{{- $bytes | replace "+" "-" | replace "/" "_" | trimAll "=" -}}
{{- end -}}
{{- end -}}
