-- The tables that PostfixAdmin 3.3.13 makes in SQLite, those that a provisioner writes: names, types, defaults and keys as
-- its upgrade.php leaves them.
CREATE TABLE domain (
  domain varchar(255) NOT NULL, description varchar(255) NOT NULL, aliases int(11) NOT NULL DEFAULT 0,
  mailboxes int(11) NOT NULL DEFAULT 0, maxquota bigint(20) NOT NULL DEFAULT 0, quota bigint(20) NOT NULL DEFAULT 0,
  transport varchar(255) NOT NULL, backupmx tinyint(1) NOT NULL DEFAULT '0',
  created datetime NOT NULL default '2000-01-01', modified datetime NOT NULL default '2000-01-01',
  active tinyint(1) NOT NULL DEFAULT '1', password_expiry int DEFAULT 0, PRIMARY KEY (domain));
CREATE TABLE mailbox (
  username varchar(255) NOT NULL, password varchar(255) NOT NULL, name varchar(255) NOT NULL, maildir varchar(255) NOT NULL,
  quota bigint(20) NOT NULL DEFAULT 0, local_part varchar(255) NOT NULL, domain varchar(255) NOT NULL,
  created datetime NOT NULL default '2000-01-01', modified datetime NOT NULL default '2000-01-01',
  active tinyint(1) NOT NULL DEFAULT '1', phone varchar(30) NOT NULL DEFAULT '', email_other varchar(255) NOT NULL DEFAULT '',
  token varchar(255) NOT NULL DEFAULT '', token_validity datetime NOT NULL default '2000-01-01',
  password_expiry datetime NOT NULL default '2000-01-01', PRIMARY KEY (username));
CREATE TABLE alias (
  address varchar(255) NOT NULL, goto text NOT NULL, domain varchar(255) NOT NULL,
  created datetime NOT NULL default '2000-01-01', modified datetime NOT NULL default '2000-01-01',
  active tinyint(1) NOT NULL DEFAULT '1', PRIMARY KEY (address));
