#!/usr/bin/env bash
# Makes the keys of a cluster on one machine, once: its authority, a certificate for each program, and
# a kubeconfig beside each that is a client of the API server.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

keys="$kube_dir/keys"
[ ! -e "$keys/.whole" ] || exit 0
rm -rf "$keys"
mkdir -p "$keys"
chmod 700 "$keys"
cd "$keys"

openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -days 3650 -subj "/CN=lumadb-kube" -out ca.crt \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
openssl genrsa -out accounts.key 2048 2>/dev/null
openssl rsa -in accounts.key -pubout -out accounts.pub 2>/dev/null

# certify NAME SUBJECT ALTERNATIVE-NAMES
certify() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -key "$1.key" -subj "$2" |
        openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" \
            -extfile <(printf 'extendedKeyUsage=serverAuth,clientAuth\n%s' "${3:+subjectAltName=$3}") 2>/dev/null
}
# client NAME SUBJECT: certificate and kubeconfig
client() {
    certify "$1" "$2" ''
    cat >"$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: lumadb
  cluster: { server: "https://$node_ip:6443", certificate-authority-data: $(base64 -w0 ca.crt) }
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$1.crt")
    client-key-data: $(base64 -w0 "$1.key")
contexts:
- name: lumadb
  context: { cluster: lumadb, user: $1 }
current-context: lumadb
YAML
}
certify api-server /CN=kube-apiserver \
    "IP:$node_ip,IP:${service_network%.*}.1,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
certify api-server-kubelet /O=system:masters/CN=kube-apiserver-kubelet ''
client admin /O=system:masters/CN=admin
client controller-manager /CN=system:kube-controller-manager
client scheduler /CN=system:kube-scheduler
client kubelet "/O=system:nodes/CN=system:node:$node_name"
client proxy /CN=system:kube-proxy
client router /CN=lumadb:router
client provisioner /CN=lumadb:provisioner
client resizer /CN=lumadb:resizer
touch .whole
