{{/*
What the bundled servers have in common: one pod with a disk each, from an image that is not ours.
*/}}

{{/* (dict "root" $ "user" number): security of the pod of a foreign image, with the user that this image is made for. */}}
{{- define "marketplace.serverSecurityContext" -}}
{{- include "marketplace.podSecurityContext" (dict "root" .root "overrides" (dict "runAsUser" .user "runAsGroup" .user "fsGroup" .user)) -}}
{{- end -}}

{{/* Part: labels of the pod. No version among them: an upgrade of the chart alone must not restart a store. */}}
{{- define "marketplace.serverPodLabels" -}}
{{- merge (include "marketplace.selectorLabels" . | fromYaml) .root.Values.podLabels .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* The values of one pod or of pods alike: where they may run. */}}
{{- define "marketplace.placement" -}}
{{- with pick . "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- range $key, $value := . -}}
{{- with $value }}
{{ dict $key . | toYaml }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The volume `data` where no claim is made for it: an existing claim, or a directory that goes with the pod. */}}
{{- define "marketplace.dataVolume" -}}
{{- if .existingClaim -}}
- name: data
  persistentVolumeClaim:
    claimName: {{ .existingClaim }}
{{- else if not .enabled -}}
- name: data
  emptyDir:
    sizeLimit: {{ .size }}
{{- end -}}
{{- end -}}

{{/*
(dict "root" $ "component" name "persistence" map): the claim for the volume `data`. Its labels are those of the selector:
claim templates cannot be changed, and the other labels carry the chart's version.
*/}}
{{- define "marketplace.dataClaim" -}}
{{- if and .persistence.enabled (not .persistence.existingClaim) -}}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: data
      labels:
        {{- include "marketplace.selectorLabels" . | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with include "marketplace.storageClass" . }}
      {{- . | nindent 6 }}
      {{- end }}
      resources:
        requests:
          storage: {{ .persistence.size }}
{{- end -}}
{{- end -}}

{{/*
The configuration of the bundled Valkey, that of deploy/local/valkey.py but for the address, and the scripts that start
and probe it.
*/}}
{{- define "marketplace.valkeyFiles" -}}
valkey.conf: |
  bind * -::*
  port 6379
  protected-mode yes
  # Holds requirepass; start.sh writes it, into memory.
  include /run/valkey/password.conf
  dir /data
  # A restart brings back all but the last second.
  appendonly yes
  appendfsync everysec
  save ""
  # A queue must never evict: when memory is full, writing fails and says so.
  maxmemory {{ .Values.valkey.maxMemory }}
  maxmemory-policy noeviction
  daemonize no
  logfile ""
{{- range $script := list "start" "ready" "live" }}
{{ $script }}.sh: |
{{- $.Files.Get (printf "scripts/valkey/%s.sh" $script) | nindent 2 }}
{{- end }}
{{- end -}}
