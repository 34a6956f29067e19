#!/bin/bash
# The VPN gateway: WireGuard between people's machines and the private networks. Runs once, at the first start.
set -euo pipefail

dnf install -y wireguard-tools iptables-nft

# Packets of others are only passed on; the routes of the subnets lead their answers back here.
echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/90-vpn.conf
sysctl --system

umask 077
key=$(aws ssm get-parameter --region {{ region }} --name '{{ key_parameter }}' --with-decryption \
  --query Parameter.Value --output text)
cat > /etc/wireguard/wg0.conf <<EOF
[Interface]
Address = {{ address }}
ListenPort = {{ port }}
PrivateKey = $key
{% for peer in peers %}
[Peer]
# {{ peer.name }}
PublicKey = {{ peer.public_key }}
AllowedIPs = {{ peer.address }}/32
{% endfor %}
EOF
unset key

systemctl enable --now wg-quick@wg0
