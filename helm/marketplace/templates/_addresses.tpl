{{/*
Where things are: addresses for people, and the servers that the product uses.
*/}}

{{/* (dict "root" $ "component" name "port" number "url" text "ingress" map): the first that is given, without a slash at its end. */}}
{{- define "marketplace.publicUrl" -}}
{{- if .url -}}
{{- tpl .url .root | trimSuffix "/" -}}
{{- else if and .ingress .ingress.enabled .ingress.hosts -}}
{{- printf "%s://%s" (ternary "https" "http" (not (empty .ingress.tls))) (first .ingress.hosts) -}}
{{- else -}}
{{- printf "http://%s:%d" (include "marketplace.serviceHost" .) (int .port) -}}
{{- end -}}
{{- end -}}

{{- define "marketplace.webUrl" -}}
{{- include "marketplace.publicUrl" (dict "root" . "component" "web" "port" .Values.web.service.port "url" .Values.urls.web "ingress" .Values.web.ingress) -}}
{{- end -}}

{{- define "marketplace.relayUrl" -}}
{{- include "marketplace.publicUrl" (dict "root" . "component" "relay" "port" .Values.relay.service.port "url" .Values.urls.relay "ingress" .Values.relay.ingress) -}}
{{- end -}}

{{- define "marketplace.grafanaUrl" -}}
{{- include "marketplace.publicUrl" (dict "root" . "component" "grafana" "port" 3000 "url" .Values.urls.grafana "ingress" .Values.grafana.ingress) -}}
{{- end -}}

{{- define "marketplace.runbookUrl" -}}
{{- if .Values.urls.runbooks -}}
{{- tpl .Values.urls.runbooks . | trimSuffix "/" -}}
{{- else -}}
{{- printf "%s/runbooks" (include "marketplace.webUrl" .) -}}
{{- end -}}
{{- end -}}

{{/* Where Prometheus answers within the cluster; nothing when the chart knows none. */}}
{{- define "marketplace.prometheusUrl" -}}
{{- if .Values.prometheus.enabled -}}
{{- printf "http://%s:9090" (include "marketplace.serviceHost" (dict "root" . "component" "prometheus")) -}}
{{- else -}}
{{- tpl .Values.externalPrometheus.url . | trimSuffix "/" -}}
{{- end -}}
{{- end -}}

{{/* Where people reach Prometheus; nothing when the chart knows none. */}}
{{- define "marketplace.prometheusPublicUrl" -}}
{{- if .Values.urls.prometheus -}}
{{- tpl .Values.urls.prometheus . | trimSuffix "/" -}}
{{- else -}}
{{- include "marketplace.prometheusUrl" . -}}
{{- end -}}
{{- end -}}

{{/* Where Alertmanager answers within the cluster; nothing when the chart knows none. */}}
{{- define "marketplace.alertmanagerUrl" -}}
{{- if .Values.alertmanager.enabled -}}
{{- printf "http://%s:9093" (include "marketplace.serviceHost" (dict "root" . "component" "alertmanager")) -}}
{{- else -}}
{{- tpl .Values.externalAlertmanager.url . | trimSuffix "/" -}}
{{- end -}}
{{- end -}}

{{/* Where Alertmanager and the pipeline reach the relay. */}}
{{- define "marketplace.relayServiceUrl" -}}
{{- printf "http://%s:%d" (include "marketplace.serviceHost" (dict "root" . "component" "relay")) (int .Values.relay.service.port) -}}
{{- end -}}

{{/* "true" when an Alertmanager will tell the relay alerts: then the relay tells of one that is not heard. */}}
{{- define "marketplace.expectsAlertmanager" -}}
{{- $operator := .Values.monitoring.operator -}}
{{- if and .Values.relay.enabled (or .Values.alertmanager.enabled .Values.externalAlertmanager.url (and $operator.enabled $operator.alertmanagerConfig.enabled)) -}}
true
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the admin token, the events' secret and Alertmanager's token. */}}
{{- define "marketplace.authSecretName" -}}
{{- .Values.auth.existingSecret | default (include "marketplace.componentName" (dict "root" . "component" "auth")) -}}
{{- end -}}

{{/* Name of the Secret with the password of Redis; nothing when it needs none. */}}
{{- define "marketplace.redisSecretName" -}}
{{- if .Values.valkey.enabled -}}
{{- .Values.valkey.existingSecret | default (include "marketplace.componentName" (dict "root" . "component" "valkey")) -}}
{{- else -}}
{{- .Values.externalRedis.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "marketplace.redisPasswordKey" -}}
{{- ternary .Values.valkey .Values.externalRedis .Values.valkey.enabled | dig "passwordKey" "password" -}}
{{- end -}}

{{/* Name of the Secret with the password of PostgreSQL; nothing when it needs none. */}}
{{- define "marketplace.databaseSecretName" -}}
{{- if .Values.postgresql.enabled -}}
{{- .Values.postgresql.existingSecret | default (include "marketplace.componentName" (dict "root" . "component" "postgresql")) -}}
{{- else -}}
{{- .Values.externalDatabase.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "marketplace.databasePasswordKey" -}}
{{- ternary .Values.postgresql .Values.externalDatabase .Values.postgresql.enabled | dig "passwordKey" "password" -}}
{{- end -}}

{{/* YAML map of the variables that lead to Redis; secrets are files. */}}
{{- define "marketplace.redisEnv" -}}
MARKETPLACE_REDIS__URL: {{ include "marketplace.redisUrl" . | quote }}
{{- if not .Values.valkey.enabled }}
{{- with .Values.externalRedis }}
{{- if .username }}
MARKETPLACE_REDIS__USERNAME: {{ .username | quote }}
{{- end }}
{{- if and .tls.enabled .tls.caSecret }}
MARKETPLACE_REDIS__TLS_CA_FILE: /etc/marketplace/redis-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- if include "marketplace.redisSecretName" . }}
MARKETPLACE_REDIS__PASSWORD_FILE: /etc/marketplace/redis/password
{{- end }}
{{- end -}}

{{/* YAML map of the variables that lead to PostgreSQL; secrets are files. */}}
{{- define "marketplace.databaseEnv" -}}
MARKETPLACE_DATABASE__URL: {{ include "marketplace.databaseUrl" . | quote }}
{{- if include "marketplace.databaseSecretName" . }}
MARKETPLACE_DATABASE__PASSWORD_FILE: /etc/marketplace/database/password
{{- end }}
{{- end -}}
