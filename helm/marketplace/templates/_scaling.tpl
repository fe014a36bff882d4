{{/*
How fast replicas come and go: up at once, for a queue is waiting; down one pod a minute after five calm minutes, for each
pod that goes gives its jobs time to end, and load comes in waves.
*/}}
{{- define "marketplace.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - {type: Percent, value: 100, periodSeconds: 30}
    - {type: Pods, value: 2, periodSeconds: 30}
scaleDown:
  stabilizationWindowSeconds: 300
  selectPolicy: Max
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}

{{/*
Jobs that wait for a worker or are run by one. Every web process tells the same level, hence `max`; running jobs count, or
the last ones of a wave would be stopped as soon as none waits any more.
*/}}
{{- define "marketplace.queueDepthQuery" -}}
{{- $series := printf "{environment=%q}" .Values.environment -}}
sum(max by (queue) (marketplace_queue_pending_jobs{{ $series }})) + sum(max by (queue) (marketplace_queue_active_jobs{{ $series }}))
{{- end }}

{{/* Where KEDA asks Prometheus. Its operator runs in a namespace of its own, so the name of the service is not enough. */}}
{{- define "marketplace.kedaPrometheusUrl" -}}
{{- if .Values.prometheus.enabled -}}
http://{{ include "marketplace.componentName" (dict "root" . "component" "prometheus") }}.{{ .Release.Namespace }}.svc:9090
{{- else -}}
{{ .Values.externalPrometheus.url }}
{{- end -}}
{{- end }}

{{/* Redis, as KEDA's operator reaches it from a namespace of its own. */}}
{{- define "marketplace.kedaRedisHost" -}}
{{- if .Values.valkey.enabled -}}
{{ include "marketplace.redisHost" . }}.{{ .Release.Namespace }}.svc
{{- else -}}
{{ .Values.externalRedis.host }}
{{- end -}}
{{- end }}
