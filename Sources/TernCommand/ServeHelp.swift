/// What `tern serve --help` teaches.
enum ServeHelp {
  static let text = """
    Shard i listens on PORT + i. Settings come from the defaults, then CONFIG_FILE
    (in the syntax of redis.conf), then flags; later ones win. Every name of
    redis.conf is a flag too; 'redis-cli config get "*"' lists them all.
    nodes.conf in DIR keeps node ids and slots; where it exists, it decides over
    --shards.

    EXAMPLES
      tern serve                    shards on ports 7001 …, endpoint on 7000
      tern serve --port 6379 --shards 8 --bind 0.0.0.0
      tern serve /etc/tern.conf --maxmemory 4gb
      tern serve --logfile /var/log/tern.log --loglevel verbose
      redis-cli -c -p 7001          talk to it

    SETTINGS, with their defaults
      --port 7000          the configuration endpoint; shards at PORT + 1 …
      --shards N           of a new cluster (the larger of 4 and the cores)
      --workers N          threads (number of cores)
      --bind 127.0.0.1     addresses to listen on; * = all, -ADDR = if there
      --dir ./tern-data    directory of nodes.conf; one process a directory
      --io auto            auto, uring or epoll
      --cpus LIST          processors to pin workers to, such as 0,2-3 (none)
      --maxclients 10000   connections at once, of all ports
      --maxmemory 0        bytes for keys, of all shards; 0 = no limit
      --timeout 0          seconds until an idle connection is closed; 0 = never
      --tcp-keepalive 300  seconds between probes of silence; 0 = none
      --tcp-backlog 511    connections that wait to be accepted
      --requirepass TEXT   password of the default user (none)
      --loglevel notice    debug, verbose, notice or warning
      --logfile PATH       the log's file; '' = standard output
      --cluster-announce-ip ADDR   what clients are told (derived from bind)
      --cluster-announce-hostname NAME   the name beside it (none)
      --cluster-preferred-endpoint-type ip   ip, hostname or unknown-endpoint:
                           what of these redirects and CLUSTER SLOTS name
      --auto-rebalance off load, count or off: what is made equal unasked

    UNITS
      1k = 1000, 1kb = 1024 bytes; m, mb, g, gb likewise, in any case.

    OUTPUT
      One line for each endpoint, the back-end, then 'ready'. Log lines:
      2026-01-31T12:00:00.000Z notice tern[4711] settings changed names=hz
      SIGTERM, SIGINT and SHUTDOWN end it, once the replies that wait are sent;
      exit code 0. A bad setting ends the start with exit code 1, and says file
      and line.
    """
}
