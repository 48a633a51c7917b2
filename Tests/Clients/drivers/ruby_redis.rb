# ruby-redis, as `resizes.py` drives it: ruby_redis.rb CLIENT PORT PREFIX.
require "json"
require "redis"

KEYS = 400
_, port, $prefix = ARGV
$client = Redis.new(cluster: ["redis://127.0.0.1:#{port}"])
$expected = Array.new(KEYS, "0")
STDOUT.sync = true

def attempt(count, wanted)
  found = yield
  count[:done] += 1
  unless wanted.nil? || found == wanted
    count[:wrong] += 1
    count[:said] = "#{found.inspect} instead of #{wanted.inspect}"
  end
  true
rescue StandardError => error
  count[:errors] += 1
  count[:said] = "#{error.class}: #{error.message}"
  false
end

KEYS.times { |i| $client.set("#{$prefix}:#{i}", "0") }
puts JSON.dump(version: Redis::VERSION)
while (line = STDIN.gets)
  count = { done: 0, errors: 0, wrong: 0, said: "" }
  if line.strip == "look"
    KEYS.times { |i| attempt(count, $expected[i]) { $client.get("#{$prefix}:#{i}") } }
  else
    turn = 0
    until IO.select([STDIN], nil, nil, 0)
      i = turn % KEYS
      $expected[i] = turn.to_s
      # A write that failed may have been done or not: its key is left out until the next.
      if attempt(count, "OK") { $client.set("#{$prefix}:#{i}", $expected[i]) }
        attempt(count, $expected[i]) { $client.get("#{$prefix}:#{i}") }
      else
        $expected[i] = nil
      end
      turn += 1
    end
    STDIN.gets
  end
  puts JSON.dump(count)
end
