<?php
// php-redis and predis, as `resizes.py` drives them: php.php CLIENT PORT PREFIX.
const KEYS = 400;
[, $name, $port, $prefix] = $argv;
error_reporting(E_ERROR);
$version = phpversion('redis');
if ($name === 'predis') {
    require 'Predis/autoload.php';
    $version = Predis\Client::VERSION;
    $client = new Predis\Client(["tcp://127.0.0.1:$port"], ['cluster' => 'redis']);
} elseif ($name === 'php-redis cluster') {
    $client = new RedisCluster(null, ["127.0.0.1:$port"], 1, 1);
} else {
    $client = new Redis();
    $client->connect('127.0.0.1', (int) $port, 1);
}
$expected = array_fill(0, KEYS, '0');

function attempt(array &$count, ?string $wanted, callable $call): bool
{
    try {
        $found = $call();
        $count['done']++;
        // Both have objects or `true` for OK.
        if ($wanted !== null && (string) ($found === true ? 'OK' : $found) !== $wanted) {
            $count['wrong']++;
            $count['said'] = var_export($found, true) . " instead of $wanted";
        }
        return true;
    } catch (Throwable $error) {
        $count['errors']++;
        $count['said'] = get_class($error) . ': ' . $error->getMessage();
        return false;
    }
}

for ($i = 0; $i < KEYS; $i++) {
    $client->set("$prefix:$i", '0');
}
echo json_encode(['version' => $version]), "\n";
while (($line = fgets(STDIN)) !== false) {
    $count = ['done' => 0, 'errors' => 0, 'wrong' => 0, 'said' => ''];
    if (trim($line) === 'look') {
        for ($i = 0; $i < KEYS; $i++) {
            attempt($count, $expected[$i], fn () => $client->get("$prefix:$i"));
        }
    } else {
        for ($turn = 0; ; $turn++) {
            $ready = [STDIN];
            $none = null;
            if (stream_select($ready, $none, $none, 0)) {
                break;
            }
            $i = $turn % KEYS;
            $expected[$i] = (string) $turn;
            // A write that failed may have been done or not: its key is left out until the next.
            if (attempt($count, 'OK', fn () => $client->set("$prefix:$i", $expected[$i]))) {
                attempt($count, $expected[$i], fn () => $client->get("$prefix:$i"));
            } else {
                $expected[$i] = null;
            }
        }
        fgets(STDIN);
    }
    echo json_encode($count), "\n";
}
