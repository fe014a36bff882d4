{{/* (dict "root" $ "component" name "ingress" map "port" service port's number): an Ingress, or nothing when it is off. */}}
{{- define "marketplace.ingress" -}}
{{- if .ingress.enabled -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "marketplace.metadata" (merge (dict "annotations" .ingress.annotations) (pick . "root" "component")) | nindent 2 }}
spec:
  {{- with .ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .ingress.tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range .ingress.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "marketplace.componentName" $ }}
                port:
                  number: {{ int $.port }}
    {{- end }}
{{- end -}}
{{- end -}}
