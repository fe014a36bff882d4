{{/*
The stores: Redis (or Valkey) and PostgreSQL, bundled or external. Each helper takes the root context.

A password is never part of an address: it is a file, named by MARKETPLACE_REDIS__PASSWORD_FILE and
MARKETPLACE_DATABASE__PASSWORD_FILE, so it needs no percent-encoding and shows in no `kubectl describe`.
*/}}

{{/* A host as part of a URL: an IPv6 address needs brackets. */}}
{{- define "marketplace.urlHost" -}}
{{- if contains ":" . }}[{{ . }}]{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* A text as part of a URL; `urlquery` writes a space as `+`, which means a space in a query only. */}}
{{- define "marketplace.urlPart" -}}
{{ . | toString | urlquery | replace "+" "%20" }}
{{- end }}

{{- define "marketplace.redisHost" -}}
{{- if .Values.valkey.enabled -}}
{{ include "marketplace.componentName" (dict "root" . "component" "valkey") }}
{{- else -}}
{{ .Values.externalRedis.host }}
{{- end -}}
{{- end }}

{{- define "marketplace.redisPort" -}}
{{ .Values.valkey.enabled | ternary 6379 .Values.externalRedis.port }}
{{- end }}

{{- define "marketplace.redisDatabase" -}}
{{ .Values.valkey.enabled | ternary 0 .Values.externalRedis.database }}
{{- end }}

{{- define "marketplace.redisIsTls" -}}
{{- if and (not .Values.valkey.enabled) .Values.externalRedis.tls.enabled }}true{{ end }}
{{- end }}

{{/* Address of Redis without user and password. */}}
{{- define "marketplace.redisUrl" -}}
{{ include "marketplace.redisIsTls" . | ternary "rediss" "redis" }}://{{ include "marketplace.urlHost" (include "marketplace.redisHost" .) }}:{{ include "marketplace.redisPort" . }}/{{ include "marketplace.redisDatabase" . }}
{{- end }}

{{/* Name of the Secret with the password of Redis; empty when there is no password. */}}
{{- define "marketplace.redisSecret" -}}
{{- if .Values.valkey.enabled -}}
{{ .Values.valkey.existingSecret | default (include "marketplace.componentName" (dict "root" . "component" "valkey")) }}
{{- else -}}
{{ .Values.externalRedis.existingSecret }}
{{- end -}}
{{- end }}

{{- define "marketplace.redisSecretKey" -}}
{{ .Values.valkey.enabled | ternary .Values.valkey.passwordKey .Values.externalRedis.passwordKey }}
{{- end }}

{{- define "marketplace.databaseHost" -}}
{{- if .Values.postgresql.enabled -}}
{{ include "marketplace.componentName" (dict "root" . "component" "postgresql") }}
{{- else -}}
{{ .Values.externalDatabase.host }}
{{- end -}}
{{- end }}

{{- define "marketplace.databasePort" -}}
{{ .Values.postgresql.enabled | ternary 5432 .Values.externalDatabase.port }}
{{- end }}

{{/* Address of PostgreSQL without the password. `sslmode` is always said: libpq's default, prefer, is no protection. */}}
{{- define "marketplace.databaseUrl" -}}
{{- $database := .Values.postgresql.enabled | ternary .Values.postgresql .Values.externalDatabase -}}
postgresql://{{ include "marketplace.urlPart" $database.user }}@{{ include "marketplace.urlHost" (include "marketplace.databaseHost" .) }}:{{ include "marketplace.databasePort" . }}/{{ include "marketplace.urlPart" $database.name }}
{{- if .Values.postgresql.enabled -}}
?sslmode=disable
{{- else -}}
?sslmode={{ .Values.externalDatabase.tls.mode }}
{{- if and .Values.externalDatabase.tls.caSecret (ne .Values.externalDatabase.tls.mode "disable") -}}
&sslrootcert=/etc/marketplace/database-ca/ca.crt
{{- end -}}
{{- end -}}
{{- end }}

{{- define "marketplace.databaseSecret" -}}
{{- if .Values.postgresql.enabled -}}
{{ .Values.postgresql.existingSecret | default (include "marketplace.componentName" (dict "root" . "component" "postgresql")) }}
{{- else -}}
{{ .Values.externalDatabase.existingSecret }}
{{- end -}}
{{- end }}

{{- define "marketplace.databaseSecretKey" -}}
{{ .Values.postgresql.enabled | ternary .Values.postgresql.passwordKey .Values.externalDatabase.passwordKey }}
{{- end }}

{{/* Variables of the database, as a map from name to value. The job of migrations needs these and no other ones. */}}
{{- define "marketplace.databaseEnv" -}}
MARKETPLACE_DATABASE__URL: {{ include "marketplace.databaseUrl" . | quote }}
{{- if include "marketplace.databaseSecret" . }}
MARKETPLACE_DATABASE__PASSWORD_FILE: /etc/marketplace/database/password
{{- end }}
{{- end }}

{{/* Variables of Redis, as a map from name to value. */}}
{{- define "marketplace.redisEnv" -}}
MARKETPLACE_REDIS__URL: {{ include "marketplace.redisUrl" . | quote }}
{{- if include "marketplace.redisSecret" . }}
MARKETPLACE_REDIS__PASSWORD_FILE: /etc/marketplace/redis/password
{{- end }}
{{- if and (not .Values.valkey.enabled) .Values.externalRedis.username }}
MARKETPLACE_REDIS__USERNAME: {{ .Values.externalRedis.username | quote }}
{{- end }}
{{- if and (include "marketplace.redisIsTls" .) .Values.externalRedis.tls.caSecret }}
MARKETPLACE_REDIS__TLS_CA_FILE: /etc/marketplace/redis-ca/ca.crt
{{- end }}
{{- end }}

{{/* The files behind `marketplace.databaseEnv`, as volumes. */}}
{{- define "marketplace.databaseVolumes" -}}
{{- with include "marketplace.databaseSecret" . }}
- name: database
  secret:
    secretName: {{ . }}
    items:
      - key: {{ include "marketplace.databaseSecretKey" $ }}
        path: password
{{- end }}
{{- if and (not .Values.postgresql.enabled) .Values.externalDatabase.tls.caSecret (ne .Values.externalDatabase.tls.mode "disable") }}
- name: database-ca
  secret:
    secretName: {{ .Values.externalDatabase.tls.caSecret }}
    items:
      - key: {{ .Values.externalDatabase.tls.caKey }}
        path: ca.crt
{{- end }}
{{- end }}

{{- define "marketplace.databaseVolumeMounts" -}}
{{- if include "marketplace.databaseSecret" . }}
- name: database
  mountPath: /etc/marketplace/database
  readOnly: true
{{- end }}
{{- if and (not .Values.postgresql.enabled) .Values.externalDatabase.tls.caSecret (ne .Values.externalDatabase.tls.mode "disable") }}
- name: database-ca
  mountPath: /etc/marketplace/database-ca
  readOnly: true
{{- end }}
{{- end }}

{{/* The files behind `marketplace.redisEnv`, as volumes. */}}
{{- define "marketplace.redisVolumes" -}}
{{- with include "marketplace.redisSecret" . }}
- name: redis
  secret:
    secretName: {{ . }}
    items:
      - key: {{ include "marketplace.redisSecretKey" $ }}
        path: password
{{- end }}
{{- if and (include "marketplace.redisIsTls" .) .Values.externalRedis.tls.caSecret }}
- name: redis-ca
  secret:
    secretName: {{ .Values.externalRedis.tls.caSecret }}
    items:
      - key: {{ .Values.externalRedis.tls.caKey }}
        path: ca.crt
{{- end }}
{{- end }}

{{- define "marketplace.redisVolumeMounts" -}}
{{- if include "marketplace.redisSecret" . }}
- name: redis
  mountPath: /etc/marketplace/redis
  readOnly: true
{{- end }}
{{- if and (include "marketplace.redisIsTls" .) .Values.externalRedis.tls.caSecret }}
- name: redis-ca
  mountPath: /etc/marketplace/redis-ca
  readOnly: true
{{- end }}
{{- end }}

{{/*
Most connections that the bundled PostgreSQL takes: `postgresql.maxConnections`, else what all processes can open at the
same time. Each process opens at most MARKETPLACE_DATABASE__POOL_SIZE; a rolling update and an autoscaler's largest
number of replicas are counted; ten more are for the migration, `psql` and what PostgreSQL reserves for superusers.
*/}}
{{- define "marketplace.postgresqlMaxConnections" -}}
{{- if .Values.postgresql.maxConnections -}}
{{ int .Values.postgresql.maxConnections }}
{{- else -}}
{{ add (mul (include "marketplace.databaseProcesses" . | int) (include "marketplace.databasePoolSize" . | int)) 10 }}
{{- end -}}
{{- end }}

{{/* Processes that may hold connections at the same time, those of a rolling update too (25 % more, rounded up). */}}
{{- define "marketplace.databaseProcesses" -}}
{{- $total := 0 -}}
{{- range $role := list "web" "worker" "quarantine" "scheduler" -}}
{{- $values := index $.Values $role -}}
{{- if or (eq $role "web") $values.enabled -}}
{{- $most := int $values.replicas -}}
{{- with $values.autoscaling }}{{ if .enabled }}{{ $most = int .maxReplicas }}{{ end }}{{ end -}}
{{- with $values.keda }}{{ if .enabled }}{{ $most = int .maxReplicas }}{{ end }}{{ end -}}
{{- $total = add $total $most (div (add $most 3) 4) -}}
{{- end -}}
{{- end -}}
{{ $total }}
{{- end }}

{{- define "marketplace.databasePoolSize" -}}
{{ dig "MARKETPLACE_DATABASE__POOL_SIZE" 20 .Values.settings }}
{{- end }}

{{/* A server whose image we do not make may write nothing outside its volumes, and gain no right. */}}
{{- define "marketplace.storeContainerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where the pod of a bundled server may run; given the values of that server. */}}
{{- define "marketplace.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* The volume `data` where no claim is made for it: an existing claim, or a directory that goes with the pod. */}}
{{- define "marketplace.dataVolume" -}}
{{- if .existingClaim }}
- name: data
  persistentVolumeClaim: {claimName: {{ .existingClaim }}}
{{- else if not .enabled }}
- name: data
  emptyDir: {sizeLimit: {{ .size }}}
{{- end }}
{{- end }}

{{/*
The claim for the volume `data`. Its labels are those of the selector: claim templates cannot be changed, and the other
labels carry the chart's version.
*/}}
{{- define "marketplace.dataClaim" -}}
{{- if and .persistence.enabled (not .persistence.existingClaim) }}
{{- $class := .persistence.storageClass | default (dig "storageClass" "" (.root.Values.global | default dict)) }}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: data
      labels: {{- include "marketplace.selectorLabels" (dict "root" .root "component" .component) | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- if $class }}
      storageClassName: {{ eq $class "-" | ternary "" $class | quote }}
      {{- end }}
      resources:
        requests: {storage: {{ .persistence.size }}}
{{- end }}
{{- end }}

{{/*
The configuration of the bundled Valkey, that of deploy/local/valkey.py but for the address, and the scripts that start
and probe it.
*/}}
{{- define "marketplace.valkeyFiles" -}}
valkey.conf: |
  bind * -::*
  port 6379
  protected-mode yes
  # Holds requirepass; start.sh writes it, into memory.
  include /run/valkey/password.conf
  dir /data
  # A restart brings back all but the last second.
  appendonly yes
  appendfsync everysec
  save ""
  # A queue must never evict: when memory is full, writing fails and says so.
  maxmemory {{ .Values.valkey.maxMemory }}
  maxmemory-policy noeviction
  daemonize no
  logfile ""
{{- range $script := list "start" "ready" "live" }}
{{ $script }}.sh: |
{{- $.Files.Get (printf "scripts/valkey/%s.sh" $script) | nindent 2 }}
{{- end }}
{{- end }}
