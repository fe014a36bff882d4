{{/* (dict "root" $ "component" name "persistence" map): a claim, or nothing when there is none to make. It outlives the release. */}}
{{- define "marketplace.claim" -}}
{{- if and .persistence.enabled (not .persistence.existingClaim) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "marketplace.metadata" (merge (dict "annotations" (dict "helm.sh/resource-policy" "keep")) (pick . "root" "component")) | nindent 2 }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with include "marketplace.storageClass" . }}
  {{- . | nindent 2 }}
  {{- end }}
  resources:
    requests:
      storage: {{ .persistence.size }}
{{- end -}}
{{- end -}}
