{{/*
The roles: one image, one template.
*/}}

{{/*
What tells the roles apart: arguments, port, paths of probes and metrics; `grace` are the settings that say how long the
process finishes its work after SIGTERM, each with its default in seconds; the longest counts.
*/}}
{{- define "marketplace.roleFacts" -}}
web:
  args: [web]
  port: 8000
  portName: http
  live: /api/health/live
  ready: /api/health/ready
  metrics: /api/metrics
  grace: {MARKETPLACE_WEB__GRACEFUL_TIMEOUT_SECONDS: 10}
worker:
  args: [worker]
  port: 9101
  portName: metrics
  live: /live
  ready: /ready
  metrics: /metrics
  grace: {MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS: 15}
quarantine:
  args: [worker, --quarantine]
  port: 9101
  portName: metrics
  live: /live
  ready: /ready
  metrics: /metrics
  grace: {MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS: 15}
scheduler:
  args: [scheduler]
  port: 9102
  portName: metrics
  live: /live
  ready: /ready
  metrics: /metrics
  grace: {MARKETPLACE_SCHEDULER__SHUTDOWN_GRACE_SECONDS: 15, MARKETPLACE_WEBHOOKS__TIMEOUT_SECONDS: 10}
relay:
  args: [relay]
  port: 8200
  portName: http
  live: /health/live
  ready: /health/ready
  metrics: /metrics
  grace: {MARKETPLACE_RELAY__SLACK_TIMEOUT_SECONDS: 5}
{{- end -}}

{{/* YAML list of the roles that are on. */}}
{{- define "marketplace.rolesOn" -}}
- web
{{- range list "worker" "quarantine" "scheduler" "relay" }}
{{- if (get $.Values .).enabled }}
- {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "role" name): seconds that the process itself takes to finish its work. */}}
{{- define "marketplace.shutdownGrace" -}}
{{- $longest := 0.0 -}}
{{- range $name, $default := (get (include "marketplace.roleFacts" .root | fromYaml) .role).grace -}}
{{- $longest = maxf $longest (include "marketplace.setting" (merge (dict "name" $name "default" $default) $) | float64) -}}
{{- end -}}
{{- ceil $longest | int -}}
{{- end -}}

{{/*
(dict "root" $ "role" name): seconds until Kubernetes kills a pod that was told to stop. 15 beyond what the process takes:
it gives back jobs that did not end, closes its connections, and the node may be slow.
*/}}
{{- define "marketplace.terminationGrace" -}}
{{- $values := get .root.Values .role -}}
{{- if kindIs "invalid" $values.terminationGracePeriodSeconds -}}
{{- add (int $values.preStopSeconds) (include "marketplace.shutdownGrace" . | int) 15 -}}
{{- else -}}
{{- int $values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "role" name): YAML map of the variables that the chart itself sets. */}}
{{- define "marketplace.roleEnv" -}}
HOME: /tmp
{{- if ne .role "relay" }}
{{ include "marketplace.databaseEnv" .root }}
{{ include "marketplace.redisEnv" .root }}
{{- if include "marketplace.hasAgents" .root }}
MARKETPLACE_AGENTS__FILE: /etc/marketplace/agents/agents.yaml
{{- end }}
{{- end }}
{{- if .root.Values.relay.enabled }}
MARKETPLACE_RELAY__EVENTS_SECRET_FILE: /etc/marketplace/auth/relay-events-secret
{{- end }}
{{- if eq .role "web" }}
MARKETPLACE_WEB__HOST: 0.0.0.0
MARKETPLACE_WEB__PORT: "8000"
MARKETPLACE_WEB__BOOTSTRAP_ADMIN_TOKEN_FILE: /etc/marketplace/auth/admin-token
{{- else if has .role (list "worker" "quarantine") }}
MARKETPLACE_WORKER__METRICS_HOST: 0.0.0.0
MARKETPLACE_WORKER__METRICS_PORT: "9101"
{{- else if eq .role "scheduler" }}
MARKETPLACE_SCHEDULER__METRICS_HOST: 0.0.0.0
MARKETPLACE_SCHEDULER__METRICS_PORT: "9102"
{{- else if eq .role "relay" }}
MARKETPLACE_RELAY__HOST: 0.0.0.0
MARKETPLACE_RELAY__PORT: "8200"
MARKETPLACE_RELAY__FILE: /data/relay.db
{{- if include "marketplace.expectsAlertmanager" .root }}
MARKETPLACE_RELAY__ALERTMANAGER_TOKEN_FILE: /etc/marketplace/auth/alertmanager-token
{{- end }}
{{- with .root.Values.relay }}
{{- if .slack.existingSecret }}
{{- if .slack.webhookUrlKey }}
MARKETPLACE_RELAY__SLACK_WEBHOOK_URL_FILE: /etc/marketplace/slack/webhook-url
{{- end }}
{{- if .slack.botTokenKey }}
MARKETPLACE_RELAY__SLACK_BOT_TOKEN_FILE: /etc/marketplace/slack/bot-token
MARKETPLACE_RELAY__SLACK_CHANNEL: {{ .slack.channel | quote }}
{{- end }}
{{- else if $.root.Values.demo.enabled }}
MARKETPLACE_RELAY__SLACK_WEBHOOK_URL: http://{{ include "marketplace.serviceHost" (dict "root" $.root "component" "demo-slack") }}:8201/services/T0DEMO/B0DEMO/demo
{{- end }}
{{- if .secondWebhook.existingSecret }}
MARKETPLACE_RELAY__SECOND_URL_FILE: /etc/marketplace/second-webhook/url
{{- end }}
{{- if .mentions }}
MARKETPLACE_RELAY__MENTIONS: {{ join "," .mentions | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "name" "redis" "secret" name "items" (dict key path)): a Secret as files that its group may read. */}}
{{- define "marketplace.secretVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items:
      {{- range $key, $path := .items }}
      - key: {{ $key }}
        path: {{ $path }}
      {{- end }}
{{- end -}}

{{/* YAML list of the volumes that lead to PostgreSQL: password and certificate authority. */}}
{{- define "marketplace.databaseVolumes" -}}
{{- with include "marketplace.databaseSecretName" . }}
{{ include "marketplace.secretVolume" (dict "name" "database" "secret" . "items" (dict (include "marketplace.databasePasswordKey" $) "password")) }}
{{- end }}
{{- with .Values.externalDatabase.tls }}
{{- if and (not $.Values.postgresql.enabled) .caSecret (eq .mode "verify-full") }}
{{ include "marketplace.secretVolume" (dict "name" "database-ca" "secret" .caSecret "items" (dict .caKey "ca.crt")) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* YAML list of the volumes that lead to Redis. */}}
{{- define "marketplace.redisVolumes" -}}
{{- with include "marketplace.redisSecretName" . }}
{{ include "marketplace.secretVolume" (dict "name" "redis" "secret" . "items" (dict (include "marketplace.redisPasswordKey" $) "password")) }}
{{- end }}
{{- with .Values.externalRedis.tls }}
{{- if and (not $.Values.valkey.enabled) .enabled .caSecret }}
{{ include "marketplace.secretVolume" (dict "name" "redis-ca" "secret" .caSecret "items" (dict .caKey "ca.crt")) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "role" name): YAML list of the volumes with what the role has to read, and nothing else. */}}
{{- define "marketplace.roleVolumes" -}}
{{- $auth := .root.Values.auth -}}
{{- $items := dict -}}
{{- if .root.Values.relay.enabled -}}
{{- $_ := set $items $auth.eventsSecretKey "relay-events-secret" -}}
{{- end -}}
{{- if eq .role "web" -}}
{{- $_ := set $items $auth.adminTokenKey "admin-token" -}}
{{- end -}}
{{- if and (eq .role "relay") (include "marketplace.expectsAlertmanager" .root) -}}
{{- $_ := set $items $auth.alertmanagerTokenKey "alertmanager-token" -}}
{{- end -}}
{{- if $items }}
{{ include "marketplace.secretVolume" (dict "name" "auth" "secret" (include "marketplace.authSecretName" .root) "items" $items) }}
{{- end }}
{{- if ne .role "relay" }}
{{ include "marketplace.databaseVolumes" .root }}
{{ include "marketplace.redisVolumes" .root }}
{{- if .root.Values.agents.existingSecret }}
{{ include "marketplace.secretVolume" (dict "name" "agents" "secret" .root.Values.agents.existingSecret "items" (dict .root.Values.agents.existingSecretKey "agents.yaml")) }}
{{- else if include "marketplace.hasAgents" .root }}
- name: agents
  configMap:
    name: {{ include "marketplace.componentName" (dict "root" .root "component" "agents") }}
{{- end }}
{{- else }}
{{- with .root.Values.relay }}
{{- if .slack.existingSecret }}
{{- $slack := dict }}
{{- if .slack.webhookUrlKey }}{{ $_ := set $slack .slack.webhookUrlKey "webhook-url" }}{{ end }}
{{- if .slack.botTokenKey }}{{ $_ := set $slack .slack.botTokenKey "bot-token" }}{{ end }}
{{ include "marketplace.secretVolume" (dict "name" "slack" "secret" .slack.existingSecret "items" $slack) }}
{{- end }}
{{- if .secondWebhook.existingSecret }}
{{ include "marketplace.secretVolume" (dict "name" "second-webhook" "secret" .secondWebhook.existingSecret "items" (dict .secondWebhook.key "url")) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "values" probe "path" path "port" name): the probe, or nothing when it is off. */}}
{{- define "marketplace.probe" -}}
{{- if dig "enabled" true .values -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{ omit .values "enabled" | toYaml }}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "role" name "component" name): where pods go; each constraint selects the role's own pods. */}}
{{- define "marketplace.topologySpread" -}}
{{- $own := dict "matchLabels" (include "marketplace.selectorLabels" . | fromYaml) -}}
{{- $given := (get .root.Values .role).topologySpreadConstraints -}}
{{- if not $given -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $given = append $given (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash")) -}}
{{- end -}}
{{- end -}}
{{- $all := list -}}
{{- range $given -}}
{{- $all = append $all (merge (deepCopy .) (dict "labelSelector" $own)) -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* (dict "root" $ "names" list): changes when one of these Secrets has changed, so that `helm upgrade` takes it up; without a cluster it is constant. */}}
{{- define "marketplace.secretsChecksum" -}}
{{- $found := dict -}}
{{- range compact .names -}}
{{- $_ := set $found . (dig "data" dict (lookup "v1" "Secret" $.root.Release.Namespace . | default dict)) -}}
{{- end -}}
{{- toJson $found | sha256sum -}}
{{- end -}}

{{/* YAML list of the Secrets that the user made and that the roles read; an empty text where there is none. */}}
{{- define "marketplace.givenSecrets" -}}
{{- with .Values -}}
{{- list .auth.existingSecret .valkey.existingSecret .externalRedis.existingSecret .externalRedis.tls.caSecret .postgresql.existingSecret .externalDatabase.existingSecret .externalDatabase.tls.caSecret .agents.existingSecret .relay.slack.existingSecret .relay.secondWebhook.existingSecret | toYaml -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "role" name): the Deployment. */}}
{{- define "marketplace.role" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $values := get $root.Values $role -}}
{{- $facts := get (include "marketplace.roleFacts" $root | fromYaml) $role -}}
{{- $part := dict "root" $root "component" $role "role" $role -}}
{{- $scaled := or (dig "autoscaling" "enabled" false $values) (dig "keda" "enabled" false $values) -}}
{{- $volumes := include "marketplace.roleVolumes" $part | fromYamlArray -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "marketplace.metadata" $part | nindent 2 }}
spec:
  {{- if not $scaled }}
  replicas: {{ int $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  {{- if eq $role "relay" }}
  # Two at once would write to one file.
  strategy:
    type: Recreate
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  {{- end }}
  selector:
    matchLabels:
      {{- include "marketplace.selectorLabels" $part | nindent 6 }}
  template:
    metadata:
      labels:
        {{- merge (include "marketplace.labels" $part | fromYaml) $values.podLabels $root.Values.podLabels | toYaml | nindent 8 }}
      annotations:
        checksum/config: {{ include "marketplace.configData" $root | sha256sum }}
        {{- if ne $role "relay" }}
        checksum/agents: {{ include "marketplace.agentsList" $root | sha256sum }}
        {{- end }}
        checksum/secrets: {{ include "marketplace.secretsChecksum" (dict "root" $root "names" (include "marketplace.givenSecrets" $root | fromYamlArray)) }}
        {{- with merge (dict) $values.podAnnotations $root.Values.podAnnotations $root.Values.commonAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "marketplace.serviceAccountName" $root }}
      automountServiceAccountToken: false
      # Variables of services, such as MARKETPLACE_WEB_PORT, are no settings and would be refused.
      enableServiceLinks: false
      {{- with include "marketplace.imagePullSecrets" $root }}
      {{- . | nindent 6 }}
      {{- end }}
      terminationGracePeriodSeconds: {{ include "marketplace.terminationGrace" $part }}
      securityContext:
        {{- include "marketplace.podSecurityContext" (dict "root" $root) | nindent 8 }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- include "marketplace.topologySpread" $part | nindent 8 }}
      containers:
        - name: {{ $role }}
          image: {{ include "marketplace.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{ toJson $facts.args }}
          securityContext:
            {{- include "marketplace.containerSecurityContext" (dict "root" $root) | nindent 12 }}
          ports:
            - name: {{ $facts.portName }}
              containerPort: {{ int $facts.port }}
              protocol: TCP
          env:
            {{- include "marketplace.env" (dict "env" (include "marketplace.roleEnv" $part | fromYaml) "extra" (concat $root.Values.extraEnv $values.extraEnv)) | nindent 12 }}
          envFrom:
            - configMapRef:
                name: {{ include "marketplace.componentName" (dict "root" $root "component" "config") }}
            {{- with $root.Values.extraEnvFrom }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- range $kind, $path := dict "startup" $facts.live "liveness" $facts.live "readiness" $facts.ready }}
          {{- with include "marketplace.probe" (dict "values" (get $values.probes $kind) "path" $path "port" $facts.portName) }}
          {{ $kind }}Probe:
            {{- . | nindent 12 }}
          {{- end }}
          {{- end }}
          {{- if gt (int $values.preStopSeconds) 0 }}
          lifecycle:
            preStop:
              # The action `sleep` needs Kubernetes 1.30; the image has the program.
              exec:
                command: [sleep, {{ int $values.preStopSeconds | quote }}]
          {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            {{- if eq $role "relay" }}
            - name: data
              mountPath: /data
            {{- end }}
            {{- range $volumes }}
            - name: {{ .name }}
              mountPath: /etc/marketplace/{{ .name }}
              readOnly: true
            {{- end }}
            {{- with concat $root.Values.extraVolumeMounts $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- if eq $role "relay" }}
        - name: data
          {{- if $values.persistence.enabled }}
          persistentVolumeClaim:
            claimName: {{ $values.persistence.existingClaim | default (include "marketplace.componentName" $part) }}
          {{- else }}
          emptyDir: {}
          {{- end }}
        {{- end }}
        {{- with $volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with concat $root.Values.extraVolumes $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}
