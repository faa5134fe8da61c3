{{/* What the schema of the values cannot say. Each refusal names the value and what to do, and never shows what stands in config. */}}
{{- define "keyturn.refusals" -}}
{{- include "keyturn.refusals.name" . -}}
{{- include "keyturn.refusals.secrets" . -}}
{{- include "keyturn.refusals.listener" . -}}
{{- include "keyturn.refusals.mounts" . -}}
{{- include "keyturn.refusals.ledger" . -}}
{{- include "keyturn.refusals.budget" . -}}
{{- include "keyturn.refusals.store" . -}}
{{- end -}}

{{- define "keyturn.refusals.name" -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]{0,50}[a-z0-9])?$" .Release.Name) -}}
{{- fail (printf "the release name %s: a Service, a StatefulSet and a CronJob are called after it. Choose one that begins with a letter, has letters, digits and hyphens, and at most 52 of them" .Release.Name) -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.refusals.secrets" -}}
{{- $text := toYaml .Values.config -}}
{{- $fix := "config becomes a ConfigMap, and Helm keeps it with the release. Put the secret into the Secret of secrets.name, and its file here: { file: /run/secrets/keyturn/NAME }" -}}
{{- $named := regexFind "(?m)^[ -]*(adminKey|password|passphrase|sessionKey|clientSecret|secretId|bearer|hmac|token): ([^n\\s]|n[^u])" $text -}}
{{- if $named -}}
{{- fail (printf "config: a secret stands at %s. %s" (regexFind "[a-zA-Z]+" $named) $fix) -}}
{{- end -}}
{{- if regexMatch "\\bsk-[A-Za-z0-9_-]{16}|\\bkt_(app|op)_[A-Za-z0-9_-]{20}|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----|\\bAGE-SECRET-KEY-1|\\bhv[sbr]\\.[A-Za-z0-9_-]{20}|\\b(AKIA|ASIA)[A-Z0-9]{16}\\b" $text -}}
{{- fail (printf "config: something in it looks like a secret. %s" $fix) -}}
{{- end -}}
{{- if regexMatch "://[^/@:\\s]*:[^/@\\s]+@" $text -}}
{{- fail (printf "config: a password stands in an address. %s" $fix) -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.refusals.listener" -}}
{{- range list "listen" "home" -}}
{{- if hasKey $.Values.config . -}}
{{- fail (printf "config.%s: the image and the chart say it. Leave it out" .) -}}
{{- end -}}
{{- end -}}
{{- with .Values.config.tls -}}
{{- if not $.Values.tls.secretName -}}
{{- fail "config.tls: without tls.secretName probes and apps are told to speak plain HTTP. Name the Secret with the certificate in tls.secretName" -}}
{{- end -}}
{{- if eq (.clientCertificates | default "optional" | toString) "required" -}}
{{- fail "config.tls.clientCertificates: the probes of the kubelet have no certificate to show. Make it optional" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.refusals.mounts" -}}
{{- range list (list "/etc/keyturn-jwks" .Values.jwks.configMap "jwks.configMap") (list "/run/secrets/keyturn" .Values.secrets.name "secrets.name") -}}
{{- if and (contains (printf "%s/" (index . 0)) (toYaml $.Values.config)) (not (index . 1)) -}}
{{- fail (printf "%s: config names a file in %s, and nothing is mounted there. Name what has the file" (index . 2) (index . 0)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.refusals.ledger" -}}
{{- if ne ((.Values.config.ledger | default dict).kind | default "sqlite") "postgres" -}}
{{- if not .Values.persistence.enabled -}}
{{- fail "config.ledger: without kind: postgres the ledger is a file of the home, which goes with the pod, and another pod does not see it. Name PostgreSQL, or set persistence.enabled: true and replicas: 1" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.tick.enabled) -}}
{{- fail (printf "replicas: %d of them need a ledger that all see. Name PostgreSQL in config.ledger (kind: postgres), or set replicas: 1" (int .Values.replicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyturn.refusals.budget" -}}
{{- $least := .Values.podDisruptionBudget.minAvailable | toString -}}
{{- $replicas := int .Values.replicas -}}
{{- $pods := int $least -}}
{{- if hasSuffix "%" $least -}}
{{- $pods = int (ceil (divf (mul $replicas (int (trimSuffix "%" $least))) 100)) -}}
{{- end -}}
{{- if and .Values.podDisruptionBudget.enabled (gt $replicas 1) (ge $pods $replicas) -}}
{{- fail (printf "podDisruptionBudget.minAvailable: %s of %d replicas lets none of them go, and no node could be drained. Make it less" $least $replicas) -}}
{{- end -}}
{{- end -}}

{{/* A credential whose Secret is not among store.names would be refused by the API server, hours later and for one app. */}}
{{- define "keyturn.refusals.store" -}}
{{- range $name, $credential := .Values.config.credentials -}}
{{- $store := $credential.store -}}
{{- if kindIs "string" $store -}}
{{- $store = get ($.Values.config.stores | default dict) $store -}}
{{- end -}}
{{- if and (kindIs "map" $store) (eq (toString $store.kind) "local") (not $.Values.persistence.enabled) -}}
{{- fail (printf "config: the credential %s is kept in a store of kind local, whose folder goes with the pod, and the keys with it. Set persistence.enabled: true, or name another store" $name) -}}
{{- end -}}
{{- if and (kindIs "map" $store) (eq (toString $store.kind) "kubernetes") (not $store.namespace) (not $store.kubeconfig) -}}
{{- $ref := $credential.ref | default $name -}}
{{- if not $.Values.store.kubernetes -}}
{{- fail (printf "store.kubernetes: the credential %s is kept in a Secret of the cluster, and without it the pods have no token. Set it to true" $name) -}}
{{- end -}}
{{- if not (or (contains "/" $ref) (has $ref $.Values.store.names)) -}}
{{- fail (printf "store.names: the Secret %s of the credential %s is not among them, so the Role would not allow it. Add it" $ref $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
