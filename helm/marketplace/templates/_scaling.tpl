{{/*
How many pods there are, and how fast they come and go.
*/}}

{{/* (dict "root" $ "role" name): most pods that the role may have, by an autoscaler or by its number of replicas. */}}
{{- define "marketplace.mostReplicas" -}}
{{- $values := get .root.Values .role -}}
{{- if dig "keda" "enabled" false $values -}}
{{- int $values.keda.maxReplicas -}}
{{- else if dig "autoscaling" "enabled" false $values -}}
{{- int $values.autoscaling.maxReplicas -}}
{{- else -}}
{{- int $values.replicas -}}
{{- end -}}
{{- end -}}

{{/*
Seconds of calm, as text: `behavior` of a HorizontalPodAutoscaler. Up at once, for jobs wait; down one pod a minute, for
load comes in waves, and each pod that goes lets its jobs end first.
*/}}
{{- define "marketplace.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - type: Percent
      value: 100
      periodSeconds: 30
    - type: Pods
      value: 2
      periodSeconds: 30
scaleDown:
  stabilizationWindowSeconds: {{ . }}
  selectPolicy: Max
  policies:
    - type: Pods
      value: 1
      periodSeconds: 60
{{- end -}}

{{/*
Jobs that wait for a worker, and those that one runs: without the latter, pods would be stopped as soon as the last job of
a wave has begun. Every web process tells the same figures, hence `max`.
*/}}
{{- define "marketplace.queueDepthQuery" -}}
{{- $of := printf "{environment=%q}" .Values.environment -}}
{{- printf "sum(max by (queue) (marketplace_queue_pending_jobs%s)) + sum(max by (queue) (marketplace_queue_active_jobs%s))" $of $of -}}
{{- end -}}

{{/* One problem a line. */}}
{{- define "marketplace.problems.scaling" -}}
{{- $worker := .Values.worker -}}
{{- if and $worker.keda.enabled $worker.autoscaling.enabled }}
worker.keda.enabled and worker.autoscaling.enabled: only one may set the number of pods
{{- end }}
{{- if and $worker.keda.enabled (eq $worker.keda.trigger "prometheus") (not (include "marketplace.prometheusUrl" .)) }}
worker.keda.trigger: prometheus needs prometheus.enabled or externalPrometheus.url; without a Prometheus, choose redis
{{- end }}
{{- if gt (int $worker.keda.minReplicas) (int $worker.keda.maxReplicas) }}
worker.keda.minReplicas: is above worker.keda.maxReplicas
{{- end }}
{{- range list "web" "worker" }}
{{- $scaling := (get $.Values .).autoscaling }}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) }}
{{ . }}.autoscaling.minReplicas: is above {{ . }}.autoscaling.maxReplicas
{{- end }}
{{- if and $scaling.enabled (not (dig "requests" "cpu" "" (get $.Values .).resources)) }}
{{ . }}.autoscaling.enabled: needs {{ . }}.resources.requests.cpu, of which it measures a share
{{- end }}
{{- end }}
{{- end -}}
