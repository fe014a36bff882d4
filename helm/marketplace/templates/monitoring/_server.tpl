{{/*
Prometheus, Alertmanager and Grafana: one pod each with its data on a volume. Two would know different things, so none of
them is highly available; who needs that brings servers of their own.
*/}}

{{/*
Part, and beside it:
  port: number; live, ready: paths of the probes; user: number that the image runs as; data: folder that it writes to;
  checksum: text of what is mounted, so that a change restarts the pod; args, env, mounts, volumes: lists of a pod.
*/}}
{{- define "marketplace.observer" -}}
{{- $root := .root -}}
{{- $values := get $root.Values .component -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "marketplace.metadata" (dict "root" $root "component" .component) | nindent 2 }}
spec:
  serviceName: {{ include "marketplace.componentName" . }}
  # `OrderedReady` waits for a pod that cannot start, such as one with a wrong image, even when an upgrade has mended it.
  podManagementPolicy: Parallel
  replicas: 1
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "marketplace.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "marketplace.serverPodLabels" (dict "root" $root "component" .component) | nindent 8 }}
      annotations:
        checksum/config: {{ .checksum | sha256sum }}
        {{- with merge (dict) $root.Values.podAnnotations $root.Values.commonAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # Prometheus writes what it has in memory before it ends.
      terminationGracePeriodSeconds: 60
      {{- with include "marketplace.imagePullSecrets" $root }}
      {{- . | nindent 6 }}
      {{- end }}
      securityContext:
        {{- include "marketplace.serverSecurityContext" (dict "root" $root "user" .user) | nindent 8 }}
      {{- include "marketplace.placement" $values | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "marketplace.imageOf" (dict "root" $root "image" $values.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- with .args }}
          args:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          securityContext:
            {{- include "marketplace.containerSecurityContext" (dict "root" $root) | nindent 12 }}
          ports:
            - name: http
              containerPort: {{ .port }}
              protocol: TCP
          {{- with .env }}
          env:
            {{- include "marketplace.env" (dict "env" . "extra" list) | nindent 12 }}
          {{- end }}
          # Reading back what was not yet written to blocks may take minutes after a crash.
          startupProbe:
            httpGet: {path: {{ .live }}, port: http}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 120
          livenessProbe:
            httpGet: {path: {{ .live }}, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: {{ .ready }}, port: http}
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 3
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            - name: data
              mountPath: {{ .data }}
            {{- with .mounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with include "marketplace.dataVolume" $values.persistence }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with .volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- with include "marketplace.dataClaim" (dict "root" $root "component" .component "persistence" $values.persistence) }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Part and "port": the service. */}}
{{- define "marketplace.observerService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "marketplace.metadata" (dict "root" .root "component" .component) | nindent 2 }}
spec:
  type: ClusterIP
  selector:
    {{- include "marketplace.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .port }}
      targetPort: http
      protocol: TCP
{{- end -}}
