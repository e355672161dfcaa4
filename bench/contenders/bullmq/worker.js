const { Worker } = require('bullmq');
const { read, writer } = require('./options');

const options = read(process.argv);
const write = writer(options.log);
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const chosen = { connection: options.connection };
if (options.slots) chosen.concurrency = options.slots; // default 1
if (options.profile === 'recover') {
  // defaults 30000, 30000, 1
  Object.assign(chosen, { lockDuration: 4000, stalledInterval: 1000, maxStalledCount: 5 });
}

async function run(job) {
  const { name, submitted, seconds } = job.data;
  write('S', name, submitted, job.attemptsStarted);
  if (seconds) {
    await sleep(seconds);
    write('E', name, submitted, job.attemptsStarted);
  }
  return { ok: 1 };
}

const worker = new Worker('bench', run, chosen);
worker.on('error', (error) => console.error(String(error)));
worker.on('failed', (job, error) => console.error('failed', String(error)));
if (options.profile === 'grace') {
  process.on('SIGTERM', async () => {
    await worker.close();
    process.exit(0);
  });
}
