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
{{- range $role := list "web" "worker" }}
{{- $values := get $.Values $role }}
{{- if and $values.autoscaling.enabled (not (dig "requests" "cpu" "" $values.resources)) }}
{{ $role }}.autoscaling.enabled: needs {{ $role }}.resources.requests.cpu, of which it measures the share that is used
{{- end }}
{{- end }}
{{- end -}}
