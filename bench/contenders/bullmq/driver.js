const { Queue } = require('bullmq');
const { now, read } = require('./options');

const AT_ONCE = 1000;
const options = read(process.argv);
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const item = (name, seconds, input) => ({
  name: 'job',
  data: { name, submitted: String(now()), seconds, input },
  opts: {},
});

function generator(seed) {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state / 4294967296;
  };
}

async function submit(add, addMany) {
  const input = 'x'.repeat(options['input-bytes']);
  const made = (number) => item(options.prefix + number, options.seconds, input);
  const cpu = process.cpuUsage();
  const began = now();
  if (options.mode === 'single') {
    for (let number = 0; number < options.count; number++) await add(made(number));
  } else {
    for (let first = 0; first < options.count; first += AT_ONCE) {
      const length = Math.min(AT_ONCE, options.count - first);
      await addMany(Array.from({ length }, (_, offset) => made(first + offset)));
    }
  }
  const seconds = Number(now() - began) / 1e9;
  const used = process.cpuUsage(cpu);
  return {
    began: Number(began),
    rate: options.count / seconds,
    cpu_us_per_job: (used.user + used.system) / options.count,
    bulk: 'Queue.addBulk, 1,000 at once',
  };
}

async function latency(add) {
  const random = generator(options.seed);
  const [shortest, longest] = [options['shortest-gap'], options['longest-gap']];
  for (let number = 0; number < options.count; number++) {
    await sleep(shortest + (longest - shortest) * random());
    await add(item(options.prefix + number, 0, ''));
  }
  return { submitted: options.count };
}

async function main() {
  const queue = new Queue('bench', { connection: options.connection });
  await queue.waitUntilReady();
  const add = (one) => queue.add(one.name, one.data, one.opts);
  await add(item('warm' + options.prefix, 0, ''));
  const said = options.action === 'latency' ? await latency(add) : await submit(add, (many) => queue.addBulk(many));
  await queue.close();
  console.log(JSON.stringify(said));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
