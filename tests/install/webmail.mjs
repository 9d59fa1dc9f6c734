// Roundcube in headless Chromium. Obeys lines on its input, `step argument…`, each answered with
// `done` or `failed REASON`; after each step the page is kept as a picture.
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';

const require = createRequire(process.env.NODE_PATH + '/');
const {chromium} = require('playwright-core');
const {URL: url, SHOTS: shots} = process.env;

const browser = await chromium.launch({executablePath: '/usr/bin/chromium', args: ['--no-sandbox']});
const page = await browser.newPage({viewport: {width: 1280, height: 800}});
page.setDefaultTimeout(20000);

// Rows that are gone stay in the page, hidden.
const row = (subject) => page.locator('#messagelist tbody tr:visible', {hasText: subject});
const folder = (name) => page.locator('#mailboxlist li', {hasText: name}).first();
const idle = () => page.waitForFunction(() => !globalThis.rcmail?.busy);

// Roundcube drops a click while it loads something; a person clicks again.
async function insist(action, done) {
  for (let tries = 0; tries < 6; tries++) {
    await idle();
    await action();
    if (await done({timeout: 3000}).then(() => true, () => false)) return;
  }
  throw new Error('nothing came of six clicks');
}

const steps = {
  async login(user, password) {
    await page.goto(url);
    await page.fill('#rcmloginuser', user);
    await page.fill('#rcmloginpwd', password);
    await page.click('#rcmloginsubmit');
    await page.waitForSelector('#messagelist');
  },
  async folders(...names) {
    for (const name of names) await folder(name).waitFor();
  },
  async listed(subject) {
    // Not "Refresh": that asks what changed since the page last counted, and a message that came between
    // the page's first list and its first count is never new to it.
    await insist(() => folder('Inbox').locator('a').first().click(), (o) => row(subject).waitFor(o));
  },
  async read(subject, text) {
    await row(subject).locator('.subject a, .subject span.subject').last().click();
    await page.frameLocator('#messagecontframe').getByText(text).waitFor();
    await page.waitForFunction((s) => [...document.querySelectorAll('#messagelist tbody tr')]
      .some((tr) => tr.textContent.includes(s) && !tr.classList.contains('unread')), subject);
  },
  async flag(subject) {
    // The icon shows under the pointer only.
    const flagged = (o) => page.waitForFunction((s) => [...document.querySelectorAll('#messagelist tbody tr.flagged')]
      .some((tr) => tr.textContent.includes(s)), subject, o);
    await insist(async () => {
      await row(subject).hover();
      await row(subject).locator('td.flags .flag').click({force: true});
    }, flagged);
  },
  async drag(subject, name) {
    const from = await row(subject).locator('.subject').first().boundingBox();
    const to = await folder(name).locator('a').first().boundingBox();
    await page.mouse.move(from.x + 40, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(from.x - 20, from.y + 30, {steps: 8});
    await page.mouse.move(to.x + 30, to.y + to.height / 2, {steps: 20});
    await page.mouse.up();
    await row(subject).waitFor({state: 'hidden'});
  },
  async open(name) {
    const listed = page.waitForResponse((answer) => answer.url().includes('_action=list'));
    await folder(name).locator('a').first().click();
    await page.waitForFunction((n) => globalThis.rcmail.env.mailbox.includes(n), name);
    await listed;
    await idle();
  },
  async remove(subject) {
    await idle();
    await row(subject).locator('.subject').first().click();
    await page.waitForFunction(() => globalThis.rcmail.message_list.get_selection().length === 1);
    await insist(async () => {
      await page.locator('a.delete:not(.disabled):visible').first().click();
      const sure = page.locator('.ui-dialog:visible button.mainaction');
      if (await sure.isVisible()) await sure.click();
    }, (o) => row(subject).waitFor({...o, state: 'hidden'}));
  },
  async search(word) {
    await page.fill('#mailsearchform', word);
    await page.press('#mailsearchform', 'Enter');
    await idle();
    await row(word).waitFor();
  },
  async compose(to, subject, text) {
    await page.goto(url + '/?_task=mail&_action=compose');
    await page.fill('input.recipient-input, .recipient-input input', to);
    await page.press('input.recipient-input, .recipient-input input', 'Enter');
    await page.fill('#compose-subject', subject);
    await page.fill('#composebody', text);
    await page.click('button.send, a.send');
    await page.waitForSelector('#mailboxlist');
  },
};

let number = 0;
for await (const line of createInterface({input: process.stdin})) {
  const [name, ...given] = JSON.parse(line);
  try {
    await steps[name](...given);
    await page.screenshot({path: `${shots}/webmail-${String(++number).padStart(2, '0')}-${name}.png`});
    console.log('done');
  } catch (error) {
    await page.screenshot({path: `${shots}/webmail-failed-${name}.png`});
    console.log('failed ' + String(error).replaceAll('\n', ' ').slice(0, 600));
  }
}
await browser.close();
