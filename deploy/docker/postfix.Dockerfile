# A Postfix that takes its clients from frontproxy and accepts mail for example.com. It is a start: mail is delivered to
# the mailboxes of this container's users until you say something better in main.cf.
FROM debian:12-slim
# The same number as in Dockerfile; the package takes the group that is there.
RUN groupadd --gid 5025 postdrop \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postfix python3 \
    && rm -rf /var/lib/apt/lists/*
COPY deploy/postfix /usr/local/lib/frontproxy-postfix
# Where frontproxy (user 5000 in its container) makes the milter's socket; smtpd passes through.
RUN install -d -o 5000 -g 5000 -m 0711 /run/frontproxy-milter
# Nobody's mail is relayed, not even the gateway's, through which clients can seem to come.
RUN postconf -e myhostname=mx.example.com mydestination=example.com mynetworks=127.0.0.0/8 maillog_file=/dev/stdout \
    && postconf -F '*/*/chroot=n' \
    && /usr/local/lib/frontproxy-postfix/setup --apply --take-port-25 \
        --milter unix:/run/frontproxy-milter/milter.sock
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["postfix", "status"]
CMD ["postfix", "start-fg"]
