#!/bin/bash
# The VPN gateway: WireGuard between people's machines and the private networks. Runs once, at the first start; its key
# and its peers are read every minute from then on, so that another peer or key needs no other host.
set -euo pipefail

# The way out may come a moment after the host.
until dnf install -y wireguard-tools iptables-nft; do sleep 10; done

# Packets of others are only passed on; the routes of the subnets lead their answers back here.
echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/90-vpn.conf
sysctl --system

cat > /usr/local/sbin/vpn-refresh <<'SCRIPT'
#!/bin/bash
# Applies the key and the peers as they are now. What cannot be read is tried again in a minute; until then all stays.
set -euo pipefail
umask 077
parameter() {
  aws ssm get-parameter --region '{{ region }}' --name "$1" --with-decryption --query Parameter.Value --output text
}
key=$(parameter '{{ key_parameter }}')
peers=$(parameter '{{ peers_parameter }}')
cat > /etc/wireguard/wg0.conf.new <<EOF
[Interface]
Address = {{ address }}
ListenPort = {{ port }}
PrivateKey = $key

$peers
EOF
mv /etc/wireguard/wg0.conf.new /etc/wireguard/wg0.conf
systemctl enable --now wg-quick@wg0
# Leaves the connections of those who stay alone.
wg syncconf wg0 <(wg-quick strip wg0)
SCRIPT
chmod 755 /usr/local/sbin/vpn-refresh

cat > /etc/systemd/system/vpn-refresh.service <<'UNIT'
[Unit]
Description=Key and peers of the VPN
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/vpn-refresh
UNIT
cat > /etc/systemd/system/vpn-refresh.timer <<'UNIT'
[Unit]
Description=Key and peers of the VPN, every minute

[Timer]
OnCalendar=minutely
AccuracySec=5s

[Install]
WantedBy=timers.target
UNIT
systemctl daemon-reload
systemctl enable --now vpn-refresh.timer
