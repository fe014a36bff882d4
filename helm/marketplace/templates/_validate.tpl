{{/*
Combinations that cannot work are refused, all at once, each with the keys that it is about. What one key alone can say
wrong is the schema's.
*/}}
{{- define "marketplace.validate" -}}
{{- $problems := list -}}
{{- range list "marketplace.problems.settings" "marketplace.problems.roles" "marketplace.problems.servers" "marketplace.problems.monitoring" "marketplace.problems.stores" "marketplace.problems.scaling" "marketplace.problems.flows" -}}
{{- range include . $ | splitList "\n" -}}
{{- with trim . -}}
{{- $problems = append $problems . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\nthese values cannot work:\n- %s\n" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}

{{/* Each of these tells one problem a line. */}}

{{- define "marketplace.problems.settings" -}}
{{- $elsewhere := dict
  "MARKETPLACE_DATABASE__URL" "externalDatabase"
  "MARKETPLACE_DATABASE__PASSWORD" "externalDatabase.existingSecret"
  "MARKETPLACE_REDIS__URL" "externalRedis"
  "MARKETPLACE_REDIS__USERNAME" "externalRedis.username"
  "MARKETPLACE_REDIS__PASSWORD" "externalRedis.existingSecret"
  "MARKETPLACE_REDIS__TLS_CA_FILE" "externalRedis.tls"
  "MARKETPLACE_WEB__HOST" "web.extraEnv"
  "MARKETPLACE_WEB__PORT" "web.service.port"
  "MARKETPLACE_WEB__BOOTSTRAP_ADMIN_TOKEN" "auth.existingSecret"
  "MARKETPLACE_WORKER__METRICS_HOST" "worker.extraEnv"
  "MARKETPLACE_WORKER__METRICS_PORT" "worker.extraEnv"
  "MARKETPLACE_SCHEDULER__METRICS_HOST" "scheduler.extraEnv"
  "MARKETPLACE_SCHEDULER__METRICS_PORT" "scheduler.extraEnv"
  "MARKETPLACE_AGENTS__ITEMS" "agents.items"
  "MARKETPLACE_AGENTS__FILE" "agents.existingSecret"
  "MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS" "agents.allowPrivate"
  "MARKETPLACE_MONITORING__ENVIRONMENT" "environment"
  "MARKETPLACE_MONITORING__RETENTION_HOURS" "prometheus.retentionHours"
  "MARKETPLACE_MONITORING__SCRAPE_SECONDS" "monitoring.scrapeSeconds"
  "MARKETPLACE_MONITORING__RUNBOOK_URL" "urls.runbooks"
  "MARKETPLACE_MONITORING__GRAFANA_URL" "urls.grafana"
  "MARKETPLACE_MONITORING__SECOND_WEBHOOK_URL" "alertmanager.secondWebhook.existingSecret"
  "MARKETPLACE_MONITORING__EMAIL_TO" "alertmanager.email.to"
  "MARKETPLACE_MONITORING__EMAIL_FROM" "alertmanager.email.from"
  "MARKETPLACE_MONITORING__EMAIL_SMARTHOST" "alertmanager.email.smarthost"
  "MARKETPLACE_MONITORING__EMAIL_TLS" "alertmanager.email.tls"
  "MARKETPLACE_RELAY__URL" "relay.enabled"
  "MARKETPLACE_RELAY__HOST" "relay.extraEnv"
  "MARKETPLACE_RELAY__PORT" "relay.service.port"
  "MARKETPLACE_RELAY__FILE" "relay.persistence"
  "MARKETPLACE_RELAY__PUBLIC_URL" "urls.relay"
  "MARKETPLACE_RELAY__WEB_URL" "urls.web"
  "MARKETPLACE_RELAY__ALERTMANAGER_URL" "externalAlertmanager.url"
  "MARKETPLACE_RELAY__ALERTMANAGER_TOKEN" "auth.existingSecret"
  "MARKETPLACE_RELAY__EVENTS_SECRET" "auth.existingSecret"
  "MARKETPLACE_RELAY__MENTIONS" "relay.mentions"
  "MARKETPLACE_RELAY__SLACK_WEBHOOK_URL" "relay.slack.existingSecret"
  "MARKETPLACE_RELAY__SLACK_BOT_TOKEN" "relay.slack.existingSecret"
  "MARKETPLACE_RELAY__SLACK_CHANNEL" "relay.slack.channel"
  "MARKETPLACE_RELAY__SECOND_URL" "relay.secondWebhook.existingSecret"
-}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- range $name := keys .Values.settings | sortAlpha -}}
{{- $bare := ternary $name (trimSuffix "_FILE" $name) (hasKey $known $name) -}}
{{- with get $elsewhere $bare }}
settings.{{ $name }}: this one belongs to {{ . }}
{{- else }}
{{- if not (hasKey $known $bare) }}
settings.{{ $name }}: no such setting
{{- else if and (get $known $name) (not (hasSuffix "_FILE" $name)) }}
settings.{{ $name }}: a secret does not belong into values; give it with extraEnv and secretKeyRef
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.agents.items .Values.agents.existingSecret }}
agents.items, agents.existingSecret: one of them, not both
{{- end }}
{{- range $position, $agent := .Values.agents.items }}
{{- if hasKey $agent "api_key" }}
agents.items[{{ $position }}].api_key: a secret does not belong into values; name a variable (api_key_env, with extraEnv and secretKeyRef) or a file (api_key_file, with extraVolumes), or use agents.existingSecret
{{- end }}
{{- end }}
{{- end -}}

{{- define "marketplace.problems.roles" -}}
{{- range $role := include "marketplace.rolesOn" . | fromYamlArray }}
{{- $values := get $.Values $role }}
{{- $given := $values.terminationGracePeriodSeconds }}
{{- $least := add (int $values.preStopSeconds) (include "marketplace.shutdownGrace" (dict "root" $ "role" $role) | int) }}
{{- if and (not (kindIs "invalid" $given)) (le (int $given) (int $least)) }}
{{ $role }}.terminationGracePeriodSeconds: {{ int $given }} s kills it before it has stopped; {{ $role }}.preStopSeconds and its own grace ({{ get (include "marketplace.roleFacts" $ | fromYaml) $role | dig "grace" dict | keys | sortAlpha | join ", " }}) take {{ $least }} s
{{- end }}
{{- with $values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{ $role }}.autoscaling.minReplicas: more than {{ $role }}.autoscaling.maxReplicas
{{- end }}
{{- end }}
{{- end }}
{{- range $role := list "worker" "quarantine" }}
{{- if (get $.Values $role).enabled }}
{{- $grace := include "marketplace.setting" (dict "root" $ "role" $role "name" "MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS" "default" 15) | float64 }}
{{- $attempt := include "marketplace.setting" (dict "root" $ "role" $role "name" "MARKETPLACE_JOBS__PHASE1_ATTEMPT_SECONDS" "default" 10) | float64 }}
{{- if le $grace $attempt }}
MARKETPLACE_WORKER__SHUTDOWN_GRACE_SECONDS of {{ $role }}: {{ $grace }} s must be more than MARKETPLACE_JOBS__PHASE1_ATTEMPT_SECONDS ({{ $attempt }} s), else each rollout breaks Phase 1 jobs off
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.worker.autoscaling.enabled .Values.worker.keda.enabled }}
worker.autoscaling.enabled, worker.keda.enabled: one of them, not both; KEDA makes a HorizontalPodAutoscaler of its own
{{- end }}
{{- with .Values.worker.keda }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
worker.keda.minReplicas: more than worker.keda.maxReplicas
{{- end }}
{{- if and .enabled (eq .trigger "prometheus") (not (include "marketplace.prometheusUrl" $)) }}
worker.keda.trigger: prometheus needs prometheus.enabled or externalPrometheus.url; without either, use redis
{{- end }}
{{- end }}
{{- if and (not .Values.worker.enabled) (or .Values.worker.autoscaling.enabled .Values.worker.keda.enabled) }}
worker.autoscaling.enabled, worker.keda.enabled: need worker.enabled
{{- end }}
{{- if gt (int .Values.relay.replicas) 1 }}
relay.replicas: at most 1, for its outbox is one file; while it is away, the pipeline and Alertmanager keep what they have to tell
{{- end }}
{{- range $role := list "web" "relay" }}
{{- with (get $.Values $role).ingress }}
{{- if and .enabled (not .hosts) }}
{{ $role }}.ingress.hosts: is empty; {{ $role }}.ingress.enabled needs a host
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.relay.ingress.enabled (not .Values.relay.enabled) }}
relay.ingress.enabled: needs relay.enabled
{{- end }}
{{- with .Values.relay.slack }}
{{- if and .existingSecret (not .webhookUrlKey) (not .botTokenKey) }}
relay.slack.webhookUrlKey, relay.slack.botTokenKey: relay.slack.existingSecret needs one of them
{{- end }}
{{- if and .botTokenKey (not .existingSecret) }}
relay.slack.botTokenKey: needs relay.slack.existingSecret
{{- end }}
{{- if and .existingSecret .botTokenKey (not .channel) }}
relay.slack.channel: relay.slack.botTokenKey needs a channel
{{- end }}
{{- end }}
{{- end -}}

{{- define "marketplace.problems.servers" -}}
{{- range list (list "valkey" "externalRedis") (list "postgresql" "externalDatabase") }}
{{- $bundled := first . }}
{{- $external := last . }}
{{- $given := get $.Values $external }}
{{- if and (get $.Values $bundled).enabled $given.host }}
{{ $external }}.host: needs {{ $bundled }}.enabled: false, for there can be one server only
{{- else if and (not (get $.Values $bundled).enabled) (not $given.host) }}
{{ $bundled }}.enabled: is false, and {{ $external }}.host names no server in its place
{{- end }}
{{- end }}
{{- with .Values.externalRedis }}
{{- if and .tls.caSecret (not .tls.enabled) }}
externalRedis.tls.caSecret: needs externalRedis.tls.enabled
{{- end }}
{{- if and .host .username (not .existingSecret) }}
externalRedis.username: needs the password in externalRedis.existingSecret
{{- end }}
{{- end }}
{{- with .Values.externalDatabase.tls }}
{{- if and .caSecret (ne .mode "verify-full") }}
externalDatabase.tls.caSecret: is looked at only with externalDatabase.tls.mode: verify-full
{{- end }}
{{- end }}
{{- end -}}

{{- define "marketplace.problems.monitoring" -}}
{{- range list (list "prometheus" "externalPrometheus") (list "alertmanager" "externalAlertmanager") }}
{{- $bundled := first . }}
{{- $external := last . }}
{{- if and (get $.Values $bundled).enabled (get $.Values $external).url }}
{{ $external }}.url: needs {{ $bundled }}.enabled: false, for alerts and dashboards come from one server only
{{- end }}
{{- end }}
{{- if and .Values.grafana.enabled (not (include "marketplace.prometheusUrl" .)) }}
grafana.enabled: needs prometheus.enabled or externalPrometheus.url, where its data come from
{{- end }}
{{- with .Values.grafana.ingress }}
{{- if and .enabled (not .hosts) }}
grafana.ingress.hosts: is empty; grafana.ingress.enabled needs a host
{{- end }}
{{- if and .enabled (not $.Values.grafana.enabled) }}
grafana.ingress.enabled: needs grafana.enabled
{{- end }}
{{- end }}
{{- with .Values.alertmanager.email }}
{{- if and .to (not (and .from .smarthost)) }}
alertmanager.email.to: needs alertmanager.email.from and alertmanager.email.smarthost
{{- end }}
{{- end }}
{{- end -}}
