{{/*
What the product is configured with, beside secrets.
*/}}

{{/* YAML map of the settings that every role reads; those of the user win over the chart's. */}}
{{- define "marketplace.configData" -}}
{{- $own := dict
  "MARKETPLACE_MONITORING__ENVIRONMENT" .Values.environment
  "MARKETPLACE_MONITORING__RETENTION_HOURS" .Values.prometheus.retentionHours
  "MARKETPLACE_MONITORING__SCRAPE_SECONDS" .Values.monitoring.scrapeSeconds
  "MARKETPLACE_MONITORING__RUNBOOK_URL" (include "marketplace.runbookUrl" .)
  "MARKETPLACE_OUTBOUND__ALLOW_PRIVATE_AGENTS" .Values.agents.allowPrivate
-}}
{{- if or .Values.grafana.enabled .Values.urls.grafana -}}
{{- $_ := set $own "MARKETPLACE_MONITORING__GRAFANA_URL" (include "marketplace.grafanaUrl" .) -}}
{{- end -}}
{{- if .Values.relay.enabled -}}
{{- $_ := set $own "MARKETPLACE_RELAY__URL" (include "marketplace.relayServiceUrl" .) -}}
{{- $_ := set $own "MARKETPLACE_RELAY__PUBLIC_URL" (include "marketplace.relayUrl" .) -}}
{{- $_ := set $own "MARKETPLACE_RELAY__WEB_URL" (include "marketplace.webUrl" .) -}}
{{- with include "marketplace.alertmanagerUrl" . -}}
{{- $_ := set $own "MARKETPLACE_RELAY__ALERTMANAGER_URL" . -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := merge (deepCopy .Values.settings) $own }}
{{ $name }}: {{ include "marketplace.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* The list of agents that the chart itself writes, as YAML; nothing when a Secret holds it, or there is none. */}}
{{- define "marketplace.agentsList" -}}
{{- if .Values.agents.existingSecret -}}
{{- else if .Values.agents.items -}}
{{- toYaml .Values.agents.items -}}
{{- else if .Values.demo.enabled -}}
{{- $host := include "marketplace.serviceHost" (dict "root" . "component" "demo-agents") -}}
{{- range list "amazon" "mercadolivre" "shopee" "shein" "tiktok-shop" "kaway" }}
- name: {{ . }}
  channel: {{ . }}
  url: http://{{ $host }}:8100/{{ . }}/v1
  protocol: openai
  model: simulated
  timeout_seconds: 30
{{- end }}
{{- end -}}
{{- end -}}

{{- define "marketplace.hasAgents" -}}
{{- if or .Values.agents.existingSecret .Values.agents.items .Values.demo.enabled -}}
true
{{- end -}}
{{- end -}}
