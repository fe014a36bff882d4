{{/* The list of agents of a trial: one fake agent per channel. */}}
{{- define "marketplace.demoAgents" -}}
{{- $url := printf "http://%s:8100" (include "marketplace.componentName" (dict "root" . "component" "demo-agents")) }}
{{- range list "amazon" "mercadolivre" "shopee" "shein" "tiktok-shop" "kaway" }}
- name: {{ . }}
  channel: {{ . }}
  url: {{ $url }}/{{ . }}/v1
  protocol: openai
  model: simulated
  timeout_seconds: 30
{{- end }}
{{- end }}

{{/* The incoming webhook of a trial's inbox, a path like that of a real one. It is no secret: nothing guards it. */}}
{{- define "marketplace.demoSlackWebhook" -}}
http://{{ include "marketplace.componentName" (dict "root" . "component" "demo-slack") }}:8201/services/T0DEMO/B0DEMO/demo
{{- end }}
