{{/*
The files of files/: written by `make artifacts` from what the product itself is checked with, with marks such as
`@ENVIRONMENT@` for what only the values tell. They hold templates of Prometheus and Grafana, so they are never rendered.
*/}}

{{/* (dict "root" $ "component" name): the name that lists the addresses of a role's pods. */}}
{{- define "marketplace.metricsHost" -}}
{{- include "marketplace.serviceHost" (dict "root" .root "component" (printf "%s-metrics" .component)) -}}
{{- end -}}

{{/* YAML map: what takes the place of each mark. */}}
{{- define "marketplace.marks" -}}
ENVIRONMENT: {{ .Values.environment | quote }}
SCRAPE_SECONDS: {{ int .Values.monitoring.scrapeSeconds | quote }}
BUDGET_HOURS: {{ min 24 (int .Values.prometheus.retentionHours) | quote }}
RUNBOOK_URL: {{ include "marketplace.runbookUrl" . | quote }}
GRAFANA_URL: {{ include "marketplace.grafanaUrl" . | quote }}
RELAY_URL: {{ printf "%s/alerts" (include "marketplace.relayServiceUrl" .) | quote }}
ALERTMANAGER: {{ include "marketplace.serviceHost" (dict "root" . "component" "alertmanager") | quote }}
{{- range list "web" "worker" "quarantine" "scheduler" "relay" }}
{{ upper . }}_METRICS: {{ include "marketplace.metricsHost" (dict "root" $ "component" .) | quote }}
{{- end }}
TOKEN_SECRET: {{ include "marketplace.authSecretName" . | quote }}
TOKEN_KEY: {{ .Values.auth.alertmanagerTokenKey | quote }}
SECOND_SECRET: {{ .Values.alertmanager.secondWebhook.existingSecret | quote }}
SECOND_KEY: {{ .Values.alertmanager.secondWebhook.key | quote }}
{{- with .Values.alertmanager.email }}
EMAIL_TO: {{ .to | quote }}
EMAIL_FROM: {{ .from | quote }}
EMAIL_SMARTHOST: {{ .smarthost | quote }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "path" path below files/): the text with values in the places of the marks. */}}
{{- define "marketplace.markedFile" -}}
{{- $text := .root.Files.Get (printf "files/%s" .path) -}}
{{- if not $text -}}
{{- fail (printf "files/%s is not in the chart" .path) -}}
{{- end -}}
{{- range $mark, $value := include "marketplace.marks" .root | fromYaml -}}
{{- /* A mark that may become anything stands in single quotes. */}}
{{- $text = $text | replace (printf "@%s@" $mark) ($value | replace "'" "''") -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/*
(dict "root" $ "name" file name): the rules that fit the retention. Those of files/rules/from-12h/ are for 12 hours and
more, until the next folder.
*/}}
{{- define "marketplace.ruleFile" -}}
{{- $best := 0 -}}
{{- range $path, $_ := .root.Files.Glob "files/rules/from-*h/alerts.rules.yml" -}}
{{- $hours := regexReplaceAll ".*/from-(\\d+)h/.*" $path "${1}" | int -}}
{{- if and (gt $hours $best) (le $hours (int $.root.Values.prometheus.retentionHours)) -}}
{{- $best = $hours -}}
{{- end -}}
{{- end -}}
{{- include "marketplace.markedFile" (dict "root" .root "path" (printf "rules/from-%dh/%s" $best .name)) -}}
{{- end -}}

{{/* The configuration of the bundled Prometheus, without what this release does not have. */}}
{{- define "marketplace.prometheusConfig" -}}
{{- $config := include "marketplace.markedFile" (dict "root" . "path" "prometheus/prometheus.yml") | fromYaml -}}
{{- $absent := list -}}
{{- range list "worker" "quarantine" "scheduler" "relay" -}}
{{- if not (get $.Values .).enabled -}}
{{- $absent = append $absent (include "marketplace.metricsHost" (dict "root" $ "component" .)) -}}
{{- end -}}
{{- end -}}
{{- $jobs := list -}}
{{- range $job := $config.scrape_configs -}}
{{- $there := or $.Values.alertmanager.enabled (ne $job.job_name "alertmanager") -}}
{{- range $discovery := $job.dns_sd_configs -}}
{{- range $absent -}}
{{- $_ := set $discovery "names" (without $discovery.names .) -}}
{{- end -}}
{{- $there = not (empty $discovery.names) -}}
{{- end -}}
{{- if $there -}}
{{- $jobs = append $jobs $job -}}
{{- end -}}
{{- end -}}
{{- $_ := set $config "scrape_configs" (concat $jobs .Values.prometheus.extraScrapeConfigs) -}}
{{- if not .Values.alertmanager.enabled -}}
{{- $_ := unset $config "alerting" -}}
{{- with include "marketplace.alertmanagerUrl" . -}}
{{- $url := urlParse . -}}
{{- $_ := set $config "alerting" (dict "alertmanagers" (list (dict
  "scheme" $url.scheme
  "path_prefix" ($url.path | default "/")
  "static_configs" (list (dict "targets" (list $url.host)))
))) -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/*
(dict "root" $ "path" path "webhooks" key "emails" key "tls" key): routes and receivers, without the receivers that this
release does not have. The keys are those of the file: Alertmanager and the operator write them differently.
*/}}
{{- define "marketplace.alertRoutes" -}}
{{- $values := .root.Values -}}
{{- $config := include "marketplace.markedFile" . | fromYaml -}}
{{- range $config.receivers -}}
{{- if and (eq .name "relay") (not $values.relay.enabled) -}}
{{- $_ := unset . $.webhooks -}}
{{- end -}}
{{- if eq .name "second" -}}
{{- if not $values.alertmanager.secondWebhook.existingSecret -}}
{{- $_ := unset . $.webhooks -}}
{{- end -}}
{{- if $values.alertmanager.email.to -}}
{{- range get . $.emails -}}
{{- $_ := set . $.tls $values.alertmanager.email.tls -}}
{{- end -}}
{{- else -}}
{{- $_ := unset . $.emails -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "marketplace.alertmanagerConfig" -}}
{{- include "marketplace.alertRoutes" (dict "root" . "path" "alertmanager/alertmanager.yml" "webhooks" "webhook_configs" "emails" "email_configs" "tls" "require_tls") -}}
{{- end -}}

{{- define "marketplace.alertmanagerResourceSpec" -}}
{{- include "marketplace.alertRoutes" (dict "root" . "path" "alertmanager/resource-spec.yml" "webhooks" "webhookConfigs" "emails" "emailConfigs" "tls" "requireTLS") -}}
{{- end -}}

{{/* YAML map: name of each dashboard, and its path below files/. */}}
{{- define "marketplace.dashboards" -}}
{{- range $path, $_ := .Files.Glob "files/dashboards/*.json" }}
{{ base $path | trimSuffix ".json" }}: {{ $path }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "name" dashboard): its ConfigMap. */}}
{{- define "marketplace.dashboardName" -}}
{{- include "marketplace.componentName" (dict "root" .root "component" (printf "dashboard-%s" .name)) -}}
{{- end -}}
