// The command line of bench/common/contender_cli.py and the log of bench/common/job_log.py, for Node.
const fs = require('fs');

const DEFAULTS = {
  redis: '', log: '', profile: 'default', slots: 0, 'time-limit': 3600,
  count: 1, mode: 'single', seconds: 0, 'input-bytes': 0, prefix: 'j',
  'shortest-gap': 0.2, 'longest-gap': 0.7, seed: 1,
};

exports.read = (argv) => {
  const options = { ...DEFAULTS };
  for (let i = 2; i < argv.length; i++) {
    if (!argv[i].startsWith('--')) {
      options.action = argv[i];
      continue;
    }
    const name = argv[i].slice(2);
    const value = argv[++i];
    options[name] = typeof DEFAULTS[name] === 'number' ? Number(value) : value;
  }
  const url = new URL(options.redis);
  options.connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };
  return options;
};

exports.now = () => process.hrtime.bigint(); // CLOCK_MONOTONIC, as Python's time.monotonic_ns

exports.writer = (path) => {
  const file = fs.openSync(path, 'a');
  return (kind, job, submitted, attempt) =>
    fs.writeSync(file, `${kind} ${job} ${submitted} ${exports.now()} ${process.pid} ${attempt}\n`);
};
