{{/*
Where the stores are: Redis (or Valkey) and PostgreSQL, bundled or external. Each helper takes the root context.

A password is never part of an address: it is a file, named by MARKETPLACE_REDIS__PASSWORD_FILE and
MARKETPLACE_DATABASE__PASSWORD_FILE, so it needs no percent-encoding and `kubectl describe` does not show it.
*/}}

{{/* A host as part of a URL: an IPv6 address needs brackets. */}}
{{- define "marketplace.urlHost" -}}
{{- contains ":" . | ternary (printf "[%s]" .) . -}}
{{- end -}}

{{/* A text as part of a URL; `urlquery` writes a space as `+`, which is a space in a query only. */}}
{{- define "marketplace.urlPart" -}}
{{- . | toString | urlquery | replace "+" "%20" -}}
{{- end -}}

{{- define "marketplace.redisHost" -}}
{{- if .Values.valkey.enabled -}}
{{- include "marketplace.serviceHost" (dict "root" . "component" "valkey") -}}
{{- else -}}
{{- .Values.externalRedis.host -}}
{{- end -}}
{{- end -}}

{{- define "marketplace.redisPort" -}}
{{- .Values.valkey.enabled | ternary 6379 .Values.externalRedis.port | int -}}
{{- end -}}

{{- define "marketplace.redisDatabase" -}}
{{- .Values.valkey.enabled | ternary 0 .Values.externalRedis.database | int -}}
{{- end -}}

{{/* "true" or nothing. */}}
{{- define "marketplace.redisIsTls" -}}
{{- if and (not .Values.valkey.enabled) .Values.externalRedis.tls.enabled -}}
true
{{- end -}}
{{- end -}}

{{/* Address of Redis without user and password. */}}
{{- define "marketplace.redisUrl" -}}
{{- $scheme := include "marketplace.redisIsTls" . | empty | ternary "redis" "rediss" -}}
{{- printf "%s://%s:%s/%s" $scheme (include "marketplace.urlHost" (include "marketplace.redisHost" .)) (include "marketplace.redisPort" .) (include "marketplace.redisDatabase" .) -}}
{{- end -}}

{{/*
Address of PostgreSQL without the password. `sslmode` is always said, for libpq's own default takes what it can get. The
authorities of the system are named as a file: the OpenSSL inside the driver's wheel does not know where they are, so
`sslrootcert=system` finds none.
*/}}
{{- define "marketplace.databaseUrl" -}}
{{- if .Values.postgresql.enabled -}}
{{- printf "postgresql://marketplace@%s:5432/marketplace?sslmode=disable" (include "marketplace.serviceHost" (dict "root" . "component" "postgresql")) -}}
{{- else -}}
{{- with .Values.externalDatabase -}}
{{- $query := printf "sslmode=%s" .tls.mode -}}
{{- if eq .tls.mode "verify-full" -}}
{{- $query = printf "%s&sslrootcert=%s" $query (empty .tls.caSecret | ternary "/etc/ssl/certs/ca-certificates.crt" "/etc/marketplace/database-ca/ca.crt") -}}
{{- end -}}
{{- printf "postgresql://%s@%s:%d/%s?%s" (include "marketplace.urlPart" .user) (include "marketplace.urlHost" .host) (int .port) (include "marketplace.urlPart" .name) $query -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Most connections that the bundled PostgreSQL takes: `postgresql.maxConnections`, else what all processes may open at the
same time: each at most MARKETPLACE_DATABASE__POOL_SIZE, at the largest number of replicas that an autoscaler may set, and
a quarter more (one at least) for pods that are replaced. Ten more are for the migration, for `psql`, and those that
PostgreSQL keeps for superusers.
*/}}
{{- define "marketplace.postgresqlMaxConnections" -}}
{{- if .Values.postgresql.maxConnections -}}
{{- int .Values.postgresql.maxConnections -}}
{{- else -}}
{{- include "marketplace.poolConnections" . | int | add 10 -}}
{{- end -}}
{{- end -}}

{{- define "marketplace.poolConnections" -}}
{{- $total := 0 -}}
{{- range $role := list "web" "worker" "quarantine" "scheduler" -}}
{{- if has $role (include "marketplace.rolesOn" $ | fromYamlArray) -}}
{{- $most := include "marketplace.mostReplicas" (dict "root" $ "role" $role) | int -}}
{{- $pool := include "marketplace.setting" (dict "root" $ "role" $role "name" "MARKETPLACE_DATABASE__POOL_SIZE" "default" 20) | int -}}
{{- $total = add $total (mul $pool (add $most (div (add $most 3) 4))) -}}
{{- end -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/* One problem a line. */}}
{{- define "marketplace.problems.stores" -}}
{{- $values := .Values -}}
{{- if and $values.postgresql.enabled $values.postgresql.maxConnections (lt (int $values.postgresql.maxConnections) (include "marketplace.poolConnections" . | int)) }}
postgresql.maxConnections: the pools of all processes may open {{ include "marketplace.poolConnections" . }} connections; raise it, or lower MARKETPLACE_DATABASE__POOL_SIZE in settings
{{- end }}
{{- end -}}
