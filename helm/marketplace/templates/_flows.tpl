{{/*
Who talks to whom: one table, from which the policies of both ends follow. Each helper takes the root context.
*/}}

{{/* The parts of this release that run, as a map from component to true. */}}
{{- define "marketplace.components" -}}
web: true
migrations: {{ .Values.migrations.enabled }}
test: {{ .Values.tests.enabled }}
{{- range $name := list "worker" "quarantine" "scheduler" "relay" "valkey" "postgresql" "prometheus" "alertmanager" "grafana" }}
{{ $name }}: {{ (index $.Values $name).enabled }}
{{- end }}
demo-agents: {{ .Values.demo.enabled }}
demo-slack: {{ .Values.demo.enabled }}
{{- end }}

{{/* Port of the metrics of each process, which Prometheus scrapes. */}}
{{- define "marketplace.metricsPorts" -}}
{web: 8000, worker: 9101, quarantine: 9101, scheduler: 9102, relay: 8200}
{{- end }}

{{/* Every connection inside the release, as a list of {from, to, port}. */}}
{{- define "marketplace.flows" -}}
{{- range $from := list "web" "worker" "quarantine" "scheduler" }}
- {from: {{ $from }}, to: valkey, port: 6379}
- {from: {{ $from }}, to: postgresql, port: 5432}
- {from: {{ $from }}, to: demo-agents, port: 8100}
{{- end }}
- {from: migrations, to: postgresql, port: 5432}
- {from: scheduler, to: relay, port: 8200}
- {from: relay, to: demo-slack, port: 8201}
- {from: relay, to: alertmanager, port: 9093}
{{- range $to, $port := include "marketplace.metricsPorts" . | fromYaml }}
- {from: prometheus, to: {{ $to }}, port: {{ $port }}}
{{- end }}
- {from: prometheus, to: alertmanager, port: 9093}
- {from: alertmanager, to: relay, port: 8200}
- {from: grafana, to: prometheus, port: 9090}
- {from: grafana, to: alertmanager, port: 9093}
- {from: test, to: web, port: 8000}
{{- end }}

{{/* The port of a URL, said or implied. */}}
{{- define "marketplace.urlPort" -}}
{{- $url := urlParse . -}}
{{- $said := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{ $said | default (eq $url.scheme "https" | ternary "443" "80") }}
{{- end }}

{{/*
One rule of egress to whatever is outside the release; given a dict of `egress` ({cidrs, to}) and `ports`. The addresses
at which clouds answer with the credentials of the node are left out of "everything".
*/}}
{{- define "marketplace.outside" -}}
- to:
  {{- range .egress.cidrs }}
    - ipBlock:
        cidr: {{ . }}
        {{- if eq . "0.0.0.0/0" }}
        except: [169.254.0.0/16]
        {{- else if eq . "::/0" }}
        except: ["fe80::/10", "fd00:ec2::254/128"]
        {{- end }}
  {{- end }}
  {{- with .egress.to }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
  {{- range .ports }}
    - {port: {{ int . }}, protocol: TCP}
  {{- end }}
{{- end }}

{{/* Ports of the agents: those of the list in the values, and `networkPolicy.agentsEgress.ports`. */}}
{{- define "marketplace.agentPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.agentsEgress.ports }}{{ $ports = append $ports (int .) }}{{ end -}}
{{- range .Values.agents.items }}{{ $ports = append $ports (include "marketplace.urlPort" .url | int) }}{{ end -}}
{{ $ports | uniq | toJson }}
{{- end }}

{{/* Rules of egress beyond the release and the name service, given (dict "root" $ "component" "web"). */}}
{{- define "marketplace.outsideFlows" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- $values := .root.Values }}
{{- if has .component (list "web" "worker" "quarantine" "scheduler") }}
{{- if not $values.valkey.enabled }}
{{ include "marketplace.outside" (dict "egress" $policy.storesEgress "ports" (list $values.externalRedis.port)) }}
{{- end }}
{{ include "marketplace.outside" (dict "egress" $policy.agentsEgress "ports" (include "marketplace.agentPorts" .root | fromJsonArray)) }}
{{- end }}
{{- if and (not $values.postgresql.enabled) (has .component (list "web" "worker" "quarantine" "scheduler" "migrations")) }}
{{ include "marketplace.outside" (dict "egress" $policy.storesEgress "ports" (list $values.externalDatabase.port)) }}
{{- end }}
{{- if eq .component "scheduler" }}
{{ include "marketplace.outside" (dict "egress" $policy.webhooksEgress "ports" $policy.webhooksEgress.ports) }}
{{- end }}
{{- if or (eq .component "relay") (and (eq .component "alertmanager") (include "marketplace.alertmanagerTellsOthers" .root)) }}
{{ include "marketplace.outside" (dict "egress" $policy.notificationsEgress "ports" $policy.notificationsEgress.ports) }}
{{- end }}
{{- if and (eq .component "relay") (not $values.alertmanager.enabled) $values.externalAlertmanager.url }}
{{ include "marketplace.outside" (dict "egress" $policy.monitoringEgress "ports" (list (include "marketplace.urlPort" $values.externalAlertmanager.url))) }}
{{- end }}
{{- if and (eq .component "grafana") (not $values.prometheus.enabled) $values.externalPrometheus.url }}
{{ include "marketplace.outside" (dict "egress" $policy.monitoringEgress "ports" (list (include "marketplace.urlPort" $values.externalPrometheus.url))) }}
{{- end }}
{{- if and (eq .component "prometheus") (not $values.alertmanager.enabled) $values.externalAlertmanager.url }}
{{ include "marketplace.outside" (dict "egress" $policy.monitoringEgress "ports" (list (include "marketplace.urlPort" $values.externalAlertmanager.url))) }}
{{- end }}
{{- end }}

{{/* True when Alertmanager has receivers beside the relay. */}}
{{- define "marketplace.alertmanagerTellsOthers" -}}
{{- if or (dig "secondWebhook" "existingSecret" "" .Values.alertmanager) (dig "email" "to" "" .Values.alertmanager) }}true{{ end }}
{{- end }}

{{/* The name service: who may connect to anything must find its address. */}}
{{- define "marketplace.nameServiceFlow" -}}
- to: {{- toYaml .Values.networkPolicy.dns.to | nindent 4 }}
  ports:
  {{- range .Values.networkPolicy.dns.ports }}
    - {port: {{ int . }}, protocol: UDP}
    - {port: {{ int . }}, protocol: TCP}
  {{- end }}
{{- end }}

{{/* Rules of ingress from beyond the release, given (dict "root" $ "component" "web"). */}}
{{- define "marketplace.ingressFlows" -}}
{{- $values := .root.Values }}
{{- $policy := $values.networkPolicy }}
{{- if eq .component "web" }}
{{- $published := or $values.web.ingress.enabled (ne $values.web.service.type "ClusterIP") }}
{{ include "marketplace.fromClients" (dict "from" $policy.ingressFrom "published" $published "port" 8000) }}
{{- else if eq .component "relay" }}
{{ include "marketplace.fromClients" (dict "from" $policy.ingressFrom "published" false "port" 8200) }}
{{- else if eq .component "grafana" }}
{{ include "marketplace.fromClients" (dict "from" $policy.ingressFrom "published" $values.grafana.ingress.enabled "port" 3000) }}
{{- end }}
{{- $port := index (include "marketplace.metricsPorts" .root | fromYaml) .component }}
{{- if and $port (or $values.monitoring.operator.enabled (not $values.prometheus.enabled)) }}
- from:
    - namespaceSelector: {{- toYaml $policy.monitoringNamespaceSelector | nindent 8 }}
  ports:
    - {port: {{ int $port }}, protocol: TCP}
{{- end }}
{{- $keda := and $values.worker.enabled $values.worker.keda.enabled }}
{{- if and $keda (eq .component "valkey") (eq $values.worker.keda.trigger "redis") }}
- from:
    - namespaceSelector: {{- toYaml $policy.kedaNamespaceSelector | nindent 8 }}
  ports:
    - {port: 6379, protocol: TCP}
{{- else if and $keda (eq .component "prometheus") (eq $values.worker.keda.trigger "prometheus") }}
- from:
    - namespaceSelector: {{- toYaml $policy.kedaNamespaceSelector | nindent 8 }}
  ports:
    - {port: 9090, protocol: TCP}
{{- end }}
{{- end }}

{{/*
Clients of what people use: `networkPolicy.ingressFrom`. What is published, by an Ingress or a Service with an address of
its own, is open to all when that is empty: nobody else knows which controller brings the requests.
*/}}
{{- define "marketplace.fromClients" -}}
{{- if .from }}
- from: {{- toYaml .from | nindent 4 }}
  ports:
    - {port: {{ .port }}, protocol: TCP}
{{- else if .published }}
- ports:
    - {port: {{ .port }}, protocol: TCP}
{{- end }}
{{- end }}
