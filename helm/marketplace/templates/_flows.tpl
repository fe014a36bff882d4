{{/*
Who talks to whom: one table, from which the NetworkPolicies of both ends follow. docs/decisions/network-flows.md.
*/}}

{{/* YAML map from every part whose pods the release may have to whether it is on. */}}
{{- define "marketplace.partsOn" -}}
{{- range $part := list "worker" "quarantine" "scheduler" "relay" "valkey" "postgresql" "prometheus" "alertmanager" "grafana" "migrations" }}
{{ $part }}: {{ (get $.Values $part).enabled }}
{{- end }}
web: true
test: {{ .Values.tests.enabled }}
demo-agents: {{ .Values.demo.enabled }}
demo-slack: {{ .Values.demo.enabled }}
{{- end -}}

{{/* YAML list of the connections within the release: from, to, port. A part that is off takes its lines with it. */}}
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
{{- range $to, $facts := include "marketplace.roleFacts" . | fromYaml }}
- {from: prometheus, to: {{ $to }}, port: {{ $facts.port }}}
{{- end }}
- {from: prometheus, to: alertmanager, port: 9093}
- {from: alertmanager, to: relay, port: 8200}
- {from: grafana, to: prometheus, port: 9090}
- {from: test, to: web, port: 8000}
- {from: test, to: worker, port: 9101}
- {from: test, to: scheduler, port: 9102}
{{- end -}}

{{/* The port of a URL, said or implied. */}}
{{- define "marketplace.urlPort" -}}
{{- $url := urlParse . -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}

{{/* JSON list of the agents' ports: those in the list of agents, and those of the values. */}}
{{- define "marketplace.agentPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.agentsEgress.ports -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- range .Values.agents.items -}}
{{- $ports = append $ports (include "marketplace.urlPort" .url | int) -}}
{{- end -}}
{{- $ports | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/*
(dict "egress" (dict "cidrs" list "to" list) "ports" list): YAML list of one rule to what is beyond the release, or of
none. The addresses at which clouds tell a node's credentials are never part of "everywhere".
*/}}
{{- define "marketplace.egressBeyond" -}}
{{- $to := list -}}
{{- range .egress.cidrs -}}
{{- $block := dict "cidr" . -}}
{{- if eq . "0.0.0.0/0" -}}
{{- $_ := set $block "except" (list "169.254.0.0/16") -}}
{{- else if eq . "::/0" -}}
{{- $_ := set $block "except" (list "fe80::/10" "fd00:ec2::254/128") -}}
{{- end -}}
{{- $to = append $to (dict "ipBlock" $block) -}}
{{- end -}}
{{- $to = concat $to .egress.to -}}
{{- $ports := list -}}
{{- range .ports -}}
{{- $ports = append $ports (dict "port" (int .) "protocol" "TCP") -}}
{{- end -}}
{{- if and $to $ports -}}
{{- list (dict "to" $to "ports" $ports) | toYaml -}}
{{- end -}}
{{- end -}}

{{/* Part: YAML list of its rules to what is beyond the release. */}}
{{- define "marketplace.flowsOut" -}}
{{- $values := .root.Values -}}
{{- $policy := $values.networkPolicy -}}
{{- $monitoring := dict "cidrs" $policy.monitoringEgress.cidrs "to" (append $policy.monitoringEgress.to (dict "namespaceSelector" $policy.monitoringNamespaceSelector)) -}}
{{- if has .component (list "web" "worker" "quarantine" "scheduler") }}
{{ include "marketplace.egressBeyond" (dict "egress" $policy.agentsEgress "ports" (include "marketplace.agentPorts" .root | fromJsonArray)) }}
{{- if not $values.valkey.enabled }}
{{ include "marketplace.egressBeyond" (dict "egress" $policy.storesEgress "ports" (list $values.externalRedis.port)) }}
{{- end }}
{{- end }}
{{- if and (not $values.postgresql.enabled) (has .component (list "web" "worker" "quarantine" "scheduler" "migrations")) }}
{{ include "marketplace.egressBeyond" (dict "egress" $policy.storesEgress "ports" (list $values.externalDatabase.port)) }}
{{- end }}
{{- if eq .component "scheduler" }}
{{ include "marketplace.egressBeyond" (dict "egress" $policy.webhooksEgress "ports" $policy.webhooksEgress.ports) }}
{{- end }}
{{- if eq .component "relay" }}
{{ include "marketplace.egressBeyond" (dict "egress" $policy.notificationsEgress "ports" $policy.notificationsEgress.ports) }}
{{- end }}
{{- if eq .component "alertmanager" }}
{{- $ports := $values.alertmanager.secondWebhook.existingSecret | empty | ternary list $policy.notificationsEgress.ports }}
{{- with $values.alertmanager.email.smarthost }}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) | uniq }}
{{- end }}
{{ include "marketplace.egressBeyond" (dict "egress" $policy.notificationsEgress "ports" $ports) }}
{{- end }}
{{- if and (has .component (list "relay" "prometheus")) (not $values.alertmanager.enabled) (include "marketplace.alertmanagerUrl" .root) }}
{{ include "marketplace.egressBeyond" (dict "egress" $monitoring "ports" (list (include "marketplace.urlPort" (include "marketplace.alertmanagerUrl" .root)))) }}
{{- end }}
{{- if and (eq .component "grafana") (not $values.prometheus.enabled) (include "marketplace.prometheusUrl" .root) }}
{{ include "marketplace.egressBeyond" (dict "egress" $monitoring "ports" (list (include "marketplace.urlPort" (include "marketplace.prometheusUrl" .root)))) }}
{{- end }}
{{- end -}}

{{/* Part: YAML list of its rules for who comes from beyond the release. */}}
{{- define "marketplace.flowsIn" -}}
{{- $values := .root.Values -}}
{{- $policy := $values.networkPolicy -}}
{{- $facts := include "marketplace.roleFacts" .root | fromYaml -}}
{{- if has .component (list "web" "relay" "grafana") }}
{{- $of := get $values .component }}
{{- $isPublished := or $of.ingress.enabled (ne (dig "service" "type" "ClusterIP" $of) "ClusterIP") }}
{{- if or $policy.ingressFrom $isPublished }}
- ports:
    - port: {{ dig .component "port" 3000 $facts }}
      protocol: TCP
  {{- with $policy.ingressFrom }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- /* Prometheus elsewhere reads what all roles measure; an Alertmanager elsewhere tells the relay. */}}
{{- $isReadElsewhere := or $values.monitoring.operator.enabled (not $values.prometheus.enabled) }}
{{- $isToldElsewhere := and (eq .component "relay") (not $values.alertmanager.enabled) (include "marketplace.expectsAlertmanager" .root) }}
{{- if and (hasKey $facts .component) (or $isReadElsewhere $isToldElsewhere) }}
- from:
    - namespaceSelector:
        {{- toYaml $policy.monitoringNamespaceSelector | nindent 8 }}
  ports:
    - port: {{ dig .component "port" 0 $facts }}
      protocol: TCP
{{- end }}
{{- $isForMonitoring := or (and (eq .component "prometheus") (not $values.grafana.enabled)) (and (eq .component "alertmanager") (not $values.prometheus.enabled)) }}
{{- if $isForMonitoring }}
- from:
    - namespaceSelector:
        {{- toYaml $policy.monitoringNamespaceSelector | nindent 8 }}
  ports:
    - port: {{ eq .component "prometheus" | ternary 9090 9093 }}
      protocol: TCP
{{- end }}
{{- if and $values.worker.enabled $values.worker.keda.enabled (eq .component (get (dict "prometheus" "prometheus" "redis" "valkey") $values.worker.keda.trigger)) }}
- from:
    - namespaceSelector:
        {{- toYaml $policy.kedaNamespaceSelector | nindent 8 }}
  ports:
    - port: {{ eq .component "valkey" | ternary 6379 9090 }}
      protocol: TCP
{{- end }}
{{- end -}}

{{/* One problem a line. */}}
{{- define "marketplace.problems.flows" -}}
{{- $on := include "marketplace.partsOn" . | fromYaml }}
{{- range $key := list "extraIngress" "extraEgress" }}
{{- range $part, $_ := get $.Values.networkPolicy $key }}
{{- if not (get $on $part) }}
networkPolicy.{{ $key }}.{{ $part }}: {{ $part }} is off, so these rules would be lost
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
