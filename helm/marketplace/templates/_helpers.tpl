{{/*
Names, labels, images and security that every object shares.
Those that say "part" are given (dict "root" $ "component" "web").
*/}}

{{- define "marketplace.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "marketplace.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "marketplace.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "marketplace.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
Part: name of an object, never without its end. It has 52 characters at most: a service's may have 63, but the pods of a
StatefulSet have a label with its name and 11 characters more.
*/}}
{{- define "marketplace.componentName" -}}
{{- $room := int (sub 51 (len .component)) -}}
{{- printf "%s-%s" (include "marketplace.fullname" .root | trunc $room | trimSuffix "-") .component -}}
{{- end -}}

{{/* Part: address of its service within the cluster, with which any namespace reaches it. */}}
{{- define "marketplace.serviceHost" -}}
{{- printf "%s.%s.svc" (include "marketplace.componentName" .) .root.Release.Namespace -}}
{{- end -}}

{{/* Part: what selects its pods. Never a version: selectors cannot change. */}}
{{- define "marketplace.selectorLabels" -}}
app.kubernetes.io/name: {{ include "marketplace.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Part: labels of an object. */}}
{{- define "marketplace.labels" -}}
{{- $own := include "marketplace.selectorLabels" . | fromYaml -}}
{{- $own = merge $own (dict
  "app.kubernetes.io/part-of" "marketplace"
  "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
) -}}
{{- merge $own .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/*
Part: the metadata of an object. Further keys: "name" in place of the part's, "annotations", "labels".
*/}}
{{- define "marketplace.metadata" -}}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
name: {{ .name | default (include "marketplace.componentName" .) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- merge (include "marketplace.labels" . | fromYaml) (.labels | default dict) | toYaml | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "image" map): the reference of an image; a digest goes before the tag. */}}
{{- define "marketplace.imageOf" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := ternary (printf "%s/%s" $registry .image.repository) .image.repository (not (empty $registry)) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "marketplace.image" -}}
{{- include "marketplace.imageOf" (dict "root" . "image" .Values.image) -}}
{{- end -}}

{{/* `imagePullSecrets:` of a pod, or nothing; each entry is a name or {name: ...}. */}}
{{- define "marketplace.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.image.pullSecrets -}}
{{- $names = append $names (kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") .) -}}
{{- end -}}
{{- with uniq $names -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ ["overrides" map]): security of a pod; `overrides` holds the user of a foreign image. */}}
{{- define "marketplace.podSecurityContext" -}}
{{- mergeOverwrite (deepCopy .root.Values.podSecurityContext) (.overrides | default dict) | toYaml -}}
{{- end -}}

{{/* (dict "root" $ ["overrides" map]): security of a container. */}}
{{- define "marketplace.containerSecurityContext" -}}
{{- mergeOverwrite (deepCopy .root.Values.containerSecurityContext) (.overrides | default dict) | toYaml -}}
{{- end -}}

{{- define "marketplace.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "marketplace.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* A number of values.yaml comes as a float: 5000000 must not become 5e+06. */}}
{{- define "marketplace.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/*
(dict "env" map "extra" list): the list of variables of a container, each name once. `env` maps a name to its value or to
{valueFrom: ...}; what `extra` has wins, its last entry of a name first. Helm 4 refuses a name that comes twice.
*/}}
{{- define "marketplace.env" -}}
{{- $byName := dict -}}
{{- $order := list -}}
{{- range $name := keys .env | sortAlpha -}}
{{- $value := get $.env $name -}}
{{- $order = append $order $name -}}
{{- if kindIs "map" $value -}}
{{- $_ := set $byName $name (merge (dict "name" $name) $value) -}}
{{- else -}}
{{- $_ := set $byName $name (dict "name" $name "value" (include "marketplace.text" $value)) -}}
{{- end -}}
{{- end -}}
{{- range .extra -}}
{{- $order = append (without $order .name) .name -}}
{{- $entry := deepCopy . -}}
{{- if hasKey $entry "value" -}}
{{- $_ := set $entry "value" (include "marketplace.text" $entry.value) -}}
{{- end -}}
{{- $_ := set $byName .name $entry -}}
{{- end -}}
{{- $list := list -}}
{{- range $order -}}
{{- $list = append $list (get $byName .) -}}
{{- end -}}
{{- if $list -}}
{{- toYaml $list -}}
{{- end -}}
{{- end -}}

{{/*
(dict "root" $ "role" name "name" variable "default" value): what a setting is in the containers of a role, as far as the
values tell: variables of the role go before those of all, and those before `settings`.
*/}}
{{- define "marketplace.setting" -}}
{{- $found := .default -}}
{{- if hasKey .root.Values.settings .name -}}
{{- $found = get .root.Values.settings .name -}}
{{- end -}}
{{- range concat .root.Values.extraEnv (get .root.Values .role).extraEnv -}}
{{- if and (eq .name $.name) (hasKey . "value") -}}
{{- $found = .value -}}
{{- end -}}
{{- end -}}
{{- include "marketplace.text" $found -}}
{{- end -}}

{{/* (dict "root" $ "persistence" map): the `storageClassName` of a claim, or nothing; "-" is none at all. */}}
{{- define "marketplace.storageClass" -}}
{{- with .persistence.storageClass | default .root.Values.global.storageClass -}}
storageClassName: {{ ternary "" . (eq . "-") | quote }}
{{- end -}}
{{- end -}}
