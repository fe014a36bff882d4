{{/* What the Job of the migrations runs; no service account of the release, for it may run before that is there. */}}
{{- define "marketplace.migrationSpec" -}}
{{- $part := dict "root" . "component" "migrations" -}}
{{- $values := .Values.migrations -}}
{{- $volumes := include "marketplace.databaseVolumes" . | fromYamlArray -}}
{{- $env := merge (dict "HOME" "/tmp") (include "marketplace.databaseEnv" . | fromYaml) -}}
{{- /* Variables that come from objects of the release would keep a hook from starting. */ -}}
{{- $extra := list -}}
{{- range .Values.extraEnv -}}
{{- if hasPrefix "MARKETPLACE_DATABASE__" .name -}}
{{- $extra = append $extra . -}}
{{- end -}}
{{- end -}}
backoffLimit: {{ int $values.backoffLimit }}
activeDeadlineSeconds: {{ int $values.activeDeadlineSeconds }}
template:
  metadata:
    labels:
      {{- merge (include "marketplace.selectorLabels" $part | fromYaml) .Values.podLabels .Values.commonLabels | toYaml | nindent 6 }}
    {{- with merge (dict) .Values.podAnnotations .Values.commonAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with include "marketplace.imagePullSecrets" . }}
    {{- . | nindent 4 }}
    {{- end }}
    securityContext:
      {{- include "marketplace.podSecurityContext" (dict "root" .) | nindent 6 }}
    {{- include "marketplace.placement" $values | nindent 4 }}
    containers:
      - name: migrations
        image: {{ include "marketplace.image" . }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        # It waits for the server, which may start beside it, and leaves time for the migration itself.
        args: [db, upgrade, --wait-seconds, {{ max 1 (div (int $values.activeDeadlineSeconds) 2) | quote }}]
        securityContext:
          {{- include "marketplace.containerSecurityContext" (dict "root" .) | nindent 10 }}
        env:
          {{- include "marketplace.env" (dict "env" $env "extra" $extra) | nindent 10 }}
        resources:
          {{- toYaml $values.resources | nindent 10 }}
        volumeMounts:
          - name: tmp
            mountPath: /tmp
          {{- range $volumes }}
          - name: {{ .name }}
            mountPath: /etc/marketplace/{{ .name }}
            readOnly: true
          {{- end }}
          {{- with .Values.extraVolumeMounts }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
    volumes:
      - name: tmp
        emptyDir: {}
      {{- with $volumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with .Values.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end -}}
