-- The tables that PostfixAdmin 3.3.13 makes in PostgreSQL, those that a provisioner writes: names, types, defaults, keys
-- and references as its upgrade.php leaves them.
CREATE TABLE domain (
  domain varchar(255) NOT NULL, description varchar(255) NOT NULL default '', aliases integer NOT NULL default 0,
  mailboxes integer NOT NULL default 0, maxquota bigint NOT NULL default 0, quota bigint NOT NULL default 0,
  transport varchar(255) default NULL, backupmx boolean NOT NULL default false, created timestamp with time zone default now(),
  modified timestamp with time zone default now(), active boolean NOT NULL default true, password_expiry int DEFAULT 0,
  CONSTRAINT domain_key PRIMARY KEY (domain));
CREATE INDEX domain_domain_active ON domain (domain, active);
CREATE TABLE alias (
  address varchar(255) NOT NULL, goto text NOT NULL, domain varchar(255) NOT NULL REFERENCES domain,
  created timestamp with time zone default now(), modified timestamp with time zone default now(),
  active boolean NOT NULL default true, CONSTRAINT alias_key PRIMARY KEY (address));
CREATE INDEX alias_address_active ON alias (address, active);
CREATE INDEX alias_domain_idx ON alias (domain);
CREATE TABLE mailbox (
  username varchar(255) NOT NULL, password varchar(255) NOT NULL default '', name varchar(255) NOT NULL default '',
  maildir varchar(255) NOT NULL default '', quota bigint NOT NULL default 0, created timestamp with time zone default now(),
  modified timestamp with time zone default now(), active boolean NOT NULL default true, domain varchar(255) REFERENCES domain,
  local_part varchar(255) NOT NULL, phone varchar(30) NOT NULL DEFAULT '', email_other varchar(255) NOT NULL DEFAULT '',
  token varchar(255) NOT NULL DEFAULT '', token_validity timestamp with time zone default '2000-01-01',
  password_expiry timestamp with time zone default '2000-01-01', CONSTRAINT mailbox_key PRIMARY KEY (username));
CREATE INDEX mailbox_username_active ON mailbox (username, active);
CREATE INDEX mailbox_domain_idx ON mailbox (domain);
