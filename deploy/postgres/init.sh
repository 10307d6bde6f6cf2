#!/bin/bash
# Runs once, when the server makes its data: a database and a role for each service, which owns nothing else.
set -euo pipefail
for service in alert assignment campaign customer; do
    password=$(cat "/run/secrets/${service}_database_password")
    psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 --set role="${service}_svc" \
        --set password="$password" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"role" OWNER :"role";
REVOKE CONNECT ON DATABASE :"role" FROM PUBLIC;
SQL
done
