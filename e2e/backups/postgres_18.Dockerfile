# A server of the next major version, from a newer Debian, started as the image of PostgreSQL is.
FROM postgres:17-trixie AS former
FROM python:3.13-slim-trixie
WORKDIR /etc/apt
ENV DEBIAN_FRONTEND=noninteractive
# Mirrors of the newer one may lag, and then call themselves expired.
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --home-dir /var/lib/postgresql --create-home postgres \
 && apt-get update && apt-get install -y --no-install-recommends locales \
 && mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
 && for list in $(find . -name '*.sources' -o -name sources.list); do \
      sed 's/trixie/forky/; /security/d; s/forky-updates/forky/' $list > sources.list.d/newer.${list##*.}; done \
 && apt-get -o Acquire::Check-Valid-Until=false update && apt-get install -y --no-install-recommends -t forky postgresql-18 \
 && localedef -i en_US -c -f UTF-8 en_US.UTF-8 \
# As the image: reached from other containers.
 && sed -i "s/^#listen_addresses .*/listen_addresses = '*'/" /usr/share/postgresql/18/postgresql.conf.sample \
 && rm -rf sources.list.d/newer.* /var/lib/apt/lists/* /var/lib/postgresql/18
COPY --from=former /usr/local/bin/docker-entrypoint.sh /usr/local/bin/
ENV PATH=$PATH:/usr/lib/postgresql/18/bin LANG=en_US.utf8 PG_MAJOR=18 PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
