-- The circuit breaker of app/domain/breaker.py, shared by all processes. Times are milliseconds of this server's clock;
-- callers send and get what is left of them, so that no clock of theirs matters.
--
-- KEYS[1]: the hash of circuits, by agent. ARGV[1]: the channel on which changes are told.
-- ARGV[2]: JSON list of {agent, kind, generation, probe, ms, reason, error_code, error, longest_pause, rules, copy}.
-- Returns a JSON list of {before, circuit, admitted, cause}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function size(probes)
  local count = 0
  for _ in pairs(probes) do count = count + 1 end
  return count
end

-- Between what is left of times and times: circuits are kept with the latter.
local function moved(circuit, by)
  local probes = {}
  for probe, ends in pairs(circuit.probes) do probes[probe] = ends + by end
  circuit.probes = probes
  if circuit.ends_at then circuit.ends_at = circuit.ends_at + by end
  if circuit.opened_at then circuit.opened_at = circuit.opened_at + by end
  return circuit
end

local function tidy(circuit)
  if circuit.ends_at and circuit.ends_at - now > circuit.span then circuit.ends_at = now + circuit.span end
  if circuit.state == 'closed' and circuit.ends_at and circuit.ends_at <= now then
    circuit.ends_at, circuit.span, circuit.held, circuit.reason = nil, nil, false, ''
  end
  for probe, ends in pairs(circuit.probes) do
    if ends <= now then circuit.probes[probe] = nil end
  end
end

local function changed(circuit) circuit.version = circuit.version + 1 end

local function turn(circuit, state)
  changed(circuit)
  circuit.state, circuit.generation = state, circuit.generation + 1
  circuit.failures, circuit.successes, circuit.probes = 0, 0, {}
  circuit.ends_at, circuit.span, circuit.held, circuit.reason = nil, nil, false, ''
end

local function open(circuit, ms)
  turn(circuit, 'open')
  circuit.opened_at = circuit.opened_at or now
  circuit.ends_at, circuit.span = now + ms, ms
end

local moves = {}

function moves.look() return false, nil end

function moves.admit(circuit, ask)
  if circuit.state == 'closed' then return true, nil end
  local cause = nil
  if circuit.state == 'open' then
    if circuit.ends_at > now then return false, nil end
    turn(circuit, 'half_open')
    cause = 'time_up'
  end
  if size(circuit.probes) >= ask.rules.half_open_probes then return false, nil end
  changed(circuit)
  circuit.probes[ask.probe] = now + ask.ms
  return true, cause
end

function moves.succeed(circuit, ask)
  if circuit.state == 'closed' then
    if ask.generation == circuit.generation and circuit.failures > 0 then
      changed(circuit)
      circuit.failures = 0
    end
    return false, nil
  end
  if not circuit.probes[ask.probe] then return false, nil end
  changed(circuit)
  circuit.probes[ask.probe] = nil
  circuit.successes = circuit.successes + 1
  if circuit.successes < ask.rules.success_threshold then return false, nil end
  turn(circuit, 'closed')
  circuit.opened_at = nil
  return false, 'recovered'
end

function moves.fail(circuit, ask)
  local ms = math.max(ask.rules.open_ms, math.min(ask.ms, ask.longest_pause))
  if circuit.state == 'closed' then
    if ask.generation ~= circuit.generation or circuit.held then return false, nil end
    changed(circuit)
    circuit.failures = circuit.failures + 1
    circuit.error_code, circuit.error = ask.error_code, ask.error
    if circuit.failures < ask.rules.failure_threshold then return false, nil end
    open(circuit, ms)
    return false, 'failures'
  end
  if not circuit.probes[ask.probe] then return false, nil end
  circuit.error_code, circuit.error = ask.error_code, ask.error
  open(circuit, ms)
  return false, 'probe_failed'
end

function moves.release(circuit, ask)
  if circuit.probes[ask.probe] then
    changed(circuit)
    circuit.probes[ask.probe] = nil
  end
  return false, nil
end

function moves.open(circuit, ask)
  open(circuit, ask.ms)
  circuit.held, circuit.reason = true, ask.reason
  return false, 'operator'
end

function moves.close(circuit, ask)
  turn(circuit, 'closed')
  circuit.ends_at, circuit.span = now + ask.ms, ask.ms
  circuit.held, circuit.reason, circuit.opened_at = true, ask.reason, nil
  return false, 'operator'
end

function moves.reset(circuit)
  turn(circuit, 'closed')
  circuit.opened_at, circuit.error_code, circuit.error = nil, '', ''
  return false, 'operator'
end

local function is_newer(circuit, other)
  if circuit.generation ~= other.generation then return circuit.generation > other.generation end
  return circuit.version > other.version
end

local answers = {}
for index, ask in ipairs(cjson.decode(ARGV[2])) do
  local kept = redis.call('HGET', KEYS[1], ask.agent)
  local copy = moved(ask.copy, now)
  local circuit = kept and cjson.decode(kept) or nil
  local newer = not circuit or is_newer(copy, circuit)
  -- This server has forgotten, or has not heard of, what the caller knows.
  if newer then circuit = copy end
  tidy(circuit)
  local before, version = moved(cjson.decode(cjson.encode(circuit)), -now), circuit.version
  local admitted, cause = moves[ask.kind](circuit, ask)
  if circuit.version ~= version or (newer and circuit.version > 0) then
    local text = cjson.encode(circuit)
    redis.call('HSET', KEYS[1], ask.agent, text)
    redis.call('PUBLISH', ARGV[1], cjson.encode({agent = ask.agent, circuit = moved(cjson.decode(text), -now)}))
  end
  answers[index] = {circuit = moved(circuit, -now), admitted = admitted, cause = cause, before = before}
end
return cjson.encode(answers)
