# The nginx of a newer Debian: since 1.27.3 it follows the addresses of a group of servers, and keeps connections to them.
ARG NGINX_IMAGE=nginx:1.28-trixie
FROM ${NGINX_IMAGE}
WORKDIR /etc/apt
# Mirrors of it may lag, and then call themselves expired.
RUN for list in $(find . -name '*.sources' -o -name sources.list); do \
      sed 's/trixie/forky/; /security/d; s/forky-updates/forky/' $list > sources.list.d/newer.${list##*.}; done \
 && apt-get -o Acquire::Check-Valid-Until=false update && apt-get install -y -t forky nginx \
 && rm sources.list.d/newer.*
