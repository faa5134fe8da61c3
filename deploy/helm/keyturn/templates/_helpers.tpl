{{- define "keyturn.account" -}}
{{- .Values.serviceAccount.name | default .Release.Name -}}
{{- end -}}

{{- define "keyturn.selector" -}}
app.kubernetes.io/name: keyturn
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keyturn.labels" -}}
{{ include "keyturn.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "keyturn.host" -}}
{{ printf "%s.%s.svc" .Release.Name .Release.Namespace }}
{{- end -}}

{{- define "keyturn.scheme" -}}
{{ ternary "https" "http" (ne .Values.tls.secretName "") }}
{{- end -}}

{{/* Three quarters of the home's volume: a pod that outgrows its emptyDir is evicted, and on a full volume no row can be written and no key handed out. */}}
{{- define "keyturn.keepMegabytes" -}}
{{- $size := ternary .Values.persistence.size .Values.homeSize .Values.persistence.enabled -}}
{{- $unit := get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[MGT]i$" $size) -}}
{{- max 128 (div (mul (regexFind "^[0-9]+" $size) $unit 3) 4) -}}
{{- end -}}

{{/* keyturn.yaml: what follows from the chart, and over it what was given; names of hosts are added to those of the Service. */}}
{{- define "keyturn.config" -}}
{{- include "keyturn.refusals" . -}}
{{- $name := .Release.Name -}}
{{- $host := include "keyturn.host" . -}}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) $host (printf "%s.cluster.local" $host) -}}
{{- $base := dict "allowedHosts" $hosts "log" (dict "format" "json") "audit" (dict "keepMegabytes" (int (include "keyturn.keepMegabytes" .))) -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $base "tls" (dict "cert" "/run/secrets/keyturn-tls/tls.crt" "key" "/run/secrets/keyturn-tls/tls.key") -}}
{{- else -}}
{{- $_ := set $base "allowPlaintext" true -}}
{{- end -}}
{{- $config := mergeOverwrite $base (deepCopy .Values.config) -}}
{{- $_ := set $config "allowedHosts" (concat $hosts (.Values.config.allowedHosts | default list) | uniq) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The pod, for the service and for the CronJob: what is the same in both. */}}
{{- define "keyturn.pod" -}}
serviceAccountName: {{ include "keyturn.account" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: config
    configMap: { name: {{ .Release.Name }} }
  {{- with .Values.jwks.configMap }}
  - name: jwks
    configMap: { name: {{ . }} }
  {{- end }}
  {{- with .Values.secrets.name }}
  - name: secrets
    secret: { secretName: {{ . }}, defaultMode: 288 }
  {{- end }}
  {{- with .Values.tls.secretName }}
  - name: tls
    secret: { secretName: {{ . }}, defaultMode: 288 }
  {{- end }}
  {{- if .Values.store.kubernetes }}
  - name: api-token
    projected:
      defaultMode: 288
      sources:
        - serviceAccountToken: { path: token, expirationSeconds: 3600 }
        - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
        - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
  {{- end }}
  {{- if not .Values.persistence.enabled }}
  - name: home
    emptyDir: { sizeLimit: {{ .Values.homeSize }} }
  {{- else if .Values.tick.enabled }}
  - name: home
    persistentVolumeClaim: { claimName: {{ .Release.Name }} }
  {{- end }}
  - name: tmp
    emptyDir: { medium: Memory, sizeLimit: 64Mi }
  {{- with .Values.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Its labels never change: a StatefulSet takes no other template for its volumes, and an upgrade would fail. */}}
{{- define "keyturn.claim" -}}
metadata:
  name: {{ .name }}
  {{- if .namespace }}
  namespace: {{ .namespace }}
  {{- end }}
  labels: {{- include "keyturn.selector" .root | nindent 4 }}
  {{- if .isOwn }}
  annotations:
    # With the release the CronJob goes, and not the audit journal.
    helm.sh/resource-policy: keep
  {{- end }}
spec:
  accessModes: [ReadWriteOnce]
  {{- with .root.Values.persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: { storage: {{ .root.Values.persistence.size }} }
{{- end -}}

{{- define "keyturn.container" -}}
name: keyturn
image: {{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - { name: config, mountPath: /etc/keyturn, readOnly: true }
  {{- if .Values.jwks.configMap }}
  - { name: jwks, mountPath: /etc/keyturn-jwks, readOnly: true }
  {{- end }}
  {{- if .Values.secrets.name }}
  - { name: secrets, mountPath: /run/secrets/keyturn, readOnly: true }
  {{- end }}
  {{- if .Values.tls.secretName }}
  - { name: tls, mountPath: /run/secrets/keyturn-tls, readOnly: true }
  {{- end }}
  {{- if .Values.store.kubernetes }}
  - { name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
  {{- end }}
  - { name: home, mountPath: /var/lib/keyturn }
  - { name: tmp, mountPath: /tmp }
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
