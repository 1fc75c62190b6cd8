{{- /*
Names do not follow the release's: pods of databases, their policies, the lease and the authority of
their certificates know the operator by the name lumadb-operator. A second release in a cluster is
refused, because the first one owns these objects.
*/}}

{{- define "lumadb.labels" -}}
app.kubernetes.io/name: lumadb-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The same and others, of which none takes the place of ours: (list $ .Values.podLabels) */}}
{{- define "lumadb.labelsWith" -}}
{{- merge (include "lumadb.labels" (index . 0) | fromYaml) (index . 1) | toYaml }}
{{- end }}

{{- define "lumadb.selector" -}}
app.kubernetes.io/name: lumadb-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lumadb.edgeLabels" -}}
{{- merge (dict "app.kubernetes.io/name" "lumadb-edge") (include "lumadb.labels" . | fromYaml) | toYaml }}
{{- end }}

{{- /* By the name databases' pods know edges: their policies let it in. */}}
{{- define "lumadb.edgeSelector" -}}
app.kubernetes.io/name: lumadb-edge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* An image by its values: (list $ .Values.image) */}}
{{- define "lumadb.image" -}}
{{- $root := index . 0 }}
{{- $image := index . 1 }}
{{- if $image.digest -}}
{{ printf "%s@%s" $image.repository $image.digest }}
{{- else -}}
{{ printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- /*
One object of a file under deploy/, moved into the namespaces of this release, with our labels and
perhaps annotations: (dict "root" $ "object" $object "annotations" $annotations)
*/}}
{{- define "lumadb.object" -}}
{{- $root := .root }}
{{- $object := deepCopy .object }}
{{- $places := dict "lumadb-system" $root.Release.Namespace "tenants" $root.Values.controlPlaneAccess.namespace }}
{{- $metadata := $object.metadata }}
{{- if $metadata.namespace }}
{{- $_ := set $metadata "namespace" (get $places $metadata.namespace | required "a namespace that the chart does not know") }}
{{- end }}
{{- $_ := set $metadata "labels" (merge (default dict $metadata.labels) (include "lumadb.labels" $root | fromYaml)) }}
{{- if .annotations }}
{{- $_ := set $metadata "annotations" (merge (default dict $metadata.annotations) .annotations) }}
{{- end }}
{{- range $object.subjects }}
{{- $_ := set . "namespace" (get $places .namespace | required "a namespace that the chart does not know") }}
{{- end }}
{{- toYaml $object }}
{{- end }}

{{- /* The namespaces in which the operator has rights, where it has not all; JSON. */}}
{{- define "lumadb.watched" -}}
{{- list .Values.operator.watchNamespace .Release.Namespace | uniq | toJson }}
{{- end }}
