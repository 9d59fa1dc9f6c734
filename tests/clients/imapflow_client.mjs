#!/usr/bin/env node
// npm imapflow against the server. It enables IMAP4rev2 and UTF8=ACCEPT by itself where offered, so most of
// what runs here is a rev2 session: ESEARCH answers, UTF-8 names, LIST with RETURN, BINARY, literal8.

import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_PATH + '/');
const { ImapFlow } = require('imapflow');
const checks = [];
// `cargo xtask duties` reads the capabilities, and writes into docs/rfc.md who drives which.
const check = (_capabilities, name, run) => checks.push({ name, run });
const server = process.env.MAIL_SERVER ? JSON.parse(process.env.MAIL_SERVER) : {};

function expect(condition, what) {
    if (!condition) {
        throw new Error(typeof what === 'string' ? what : JSON.stringify(what, (_, v) => (typeof v === 'bigint' ? String(v) : v instanceof Set ? [...v] : v instanceof Map ? [...v] : v)));
    }
}

const message = (subject, body = 'body\r\n', fields = '') =>
    Buffer.from(`From: a@example.org\r\nTo: b@example.org\r\nSubject: ${subject}\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n${fields}\r\n${body}`);

function client(options = {}) {
    return new ImapFlow({
        host: '127.0.0.1', port: server.imap_port, secure: false, doSTARTTLS: false, tls: { rejectUnauthorized: false }, logger: false,
        auth: { user: server.user, pass: server.password }, ...options
    });
}

async function session(run, options) {
    const c = client(options);
    c.on('error', () => {});
    await c.connect();
    try {
        return await run(c);
    } finally {
        await c.logout().catch(() => {});
    }
}

async function fresh(c, path, count = 0) {
    try {
        await c.mailboxDelete(path);
    } catch {
        // It was not there.
    }
    await c.mailboxCreate(path);
    for (let i = 1; i <= count; i++) {
        await c.append(path, message(`message ${i}`));
    }
    await c.mailboxOpen(path);
}

check(['ID', 'NAMESPACE', 'SASL-IR', 'AUTH=PLAIN'], 'connect_plain', () => session(async c => {
    expect(c.authenticated && c.namespace.delimiter === '/', c.namespace);
    expect(c.serverInfo && c.serverInfo.name, c.serverInfo);
}));

check(['STARTTLS'], 'connect_starttls', () => session(async c => expect(c.secureConnection, 'not secured'), { doSTARTTLS: true }));

check(['IMAP4rev1'], 'connect_tls', () => session(async c => expect(c.secureConnection, 'not secured'), { port: server.imaps_port, secure: true, doSTARTTLS: undefined }));

check(['ENABLE', 'IMAP4rev2', 'UTF8=ACCEPT'], 'enables_rev2', () => session(async c => {
    expect(c.enabled.has('IMAP4REV2'), c.enabled);
    expect(c.enabled.has('UTF8=ACCEPT'), c.enabled);
    await fresh(c, 'Grüße/東京', 1);
    const list = await c.list();
    expect(list.some(box => box.path === 'Grüße/東京'), list.map(box => box.path));
}));

check(['IMAP4rev1'], 'stays_rev1_when_asked', () => session(async c => {
    await fresh(c, 'rev1 Entwürfe', 2);
    expect((await c.search({ all: true }, { uid: false })).length === 2, 'search');
    expect((await c.list()).some(box => box.path === 'rev1 Entwürfe'), 'list');
}, { disableAutoEnable: true, disableIMAP4rev2: true }));

check(['LIST-EXTENDED', 'LIST-STATUS', 'SPECIAL-USE', 'CHILDREN'], 'list_with_status', () => session(async c => {
    await fresh(c, 'counted', 3);
    await c.mailboxClose();
    const list = await c.list({ statusQuery: { messages: true, unseen: true, uidNext: true, uidValidity: true } });
    expect(list.find(box => box.path === 'counted').status.messages === 3, list);
    for (const use of ['\\Drafts', '\\Sent', '\\Junk', '\\Trash', '\\Archive']) {
        expect(list.some(box => box.specialUse === use), use);
    }
}));

check(['STATUS=SIZE'], 'status', () => session(async c => {
    await fresh(c, 'status', 2);
    const got = await c.status('status', { messages: true, unseen: true, uidNext: true, uidValidity: true });
    expect(got.messages === 2 && got.unseen === 2 && got.uidNext > 2, got);
}));

check(['OBJECTID'], 'ids_and_threads', () => session(async c => {
    await fresh(c, 'ids');
    await c.append('ids', message('Lunch', 'body\r\n', 'Message-ID: <flow1@example.org>\r\n'));
    await c.append('ids', message('Re: Lunch', 'body\r\n', 'Message-ID: <flow2@example.org>\r\nIn-Reply-To: <flow1@example.org>\r\n'));
    await c.append('ids', message('Dinner', 'body\r\n', 'Message-ID: <flow3@example.org>\r\n'));
    const all = [];
    for await (const m of c.fetch('1:3', { uid: true, threadId: true })) {
        all.push(m);
    }
    expect(all.length === 3 && all.every(m => /^M/.test(m.emailId) && /^T/.test(m.threadId)), all);
    expect(all[0].threadId === all[1].threadId && all[0].threadId !== all[2].threadId, all);
    const found = await c.search({ emailId: all[1].emailId }, { uid: true });
    expect(found.length === 1 && found[0] === all[1].uid, found);
    expect((await c.search({ threadId: all[0].threadId }, { uid: true })).length === 2, 'thread');
}));

check(['QUOTA', 'QUOTA=RES-MAILBOX'], 'quota', () => session(async c => {
    const quota = await c.getQuota('INBOX');
    expect(quota && quota.quotaRoot && quota.mailbox && quota.mailbox.usage > 0, quota);
}));

check(['LITERAL+', 'UIDPLUS'], 'append_and_download', () => session(async c => {
    await fresh(c, 'append');
    const data = message('download', 'é line\r\n'.repeat(30000));
    const done = await c.append('append', data, ['\\Seen', 'custom'], new Date('2020-02-29T12:00:00Z'));
    expect(done.uid > 0, done);
    const { content } = await c.download(String(done.uid), undefined, { uid: true });
    const chunks = [];
    for await (const chunk of content) {
        chunks.push(chunk);
    }
    expect(Buffer.concat(chunks).equals(data), 'bytes differ');
    const row = await c.fetchOne(String(done.uid), { flags: true, internalDate: true, size: true, envelope: true, bodyStructure: true }, { uid: true });
    expect(row.flags.has('\\Seen') && row.flags.has('custom') && row.size === data.length && row.internalDate.toISOString() === '2020-02-29T12:00:00.000Z', row);
    expect(row.envelope.subject === 'download' && row.bodyStructure.type === 'text/plain', row);
}));

check(['BINARY'], 'binary_fetch_and_literal8', () => session(async c => {
    await fresh(c, 'binary');
    const raw = Buffer.from(Array.from({ length: 3000 }, (_, i) => i % 256));
    const body = raw.toString('base64').replace(/.{76}/g, '$&\r\n') + '\r\n';
    const plain = 'MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n';
    const one = await c.append('binary', message('base64', body, plain));
    const row = await c.fetchOne(String(one.uid), { bodyParts: ['1'] }, { uid: true, binary: true });
    expect(row.bodyParts.get('1').equals(raw), row);
    const two = await c.append('binary', message('nul', 'a\0b\r\n', 'MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n'));
    expect(two.uid > one.uid, two);
}));

check(['ESEARCH'], 'search', () => session(async c => {
    await fresh(c, 'search', 6);
    await c.messageFlagsAdd('2,4', ['\\Flagged', 'tagged']);
    expect((await c.search({ flagged: true })).join() === '2,4', 'flagged');
    expect((await c.search({ keyword: 'tagged', subject: 'message 4' })).join() === '4', 'keyword');
    expect((await c.search({ not: { flagged: true } })).length === 4, 'not');
    expect((await c.search({ subject: 'nothing of that' })).length === 0, 'none');
    expect((await c.search({ or: [{ subject: 'message 1' }, { subject: 'message 6' }] })).join() === '1,6', 'or');
    const e = await c.search({ all: true }, { returnOptions: ['MIN', 'MAX', 'COUNT', 'ALL'] });
    expect(e.min === 1 && e.max === 6 && e.count === 6, e);
}));

check([], 'search_in_utf8', () => session(async c => {
    await fresh(c, 'search8');
    await c.append('search8', message('=?utf-8?Q?Gr=C3=BC=C3=9Fe?='));
    expect((await c.search({ subject: 'grüße' })).length === 1, 'subject');
}));

check(['UIDPLUS'], 'flags_and_delete', () => session(async c => {
    await fresh(c, 'flags', 4);
    await c.messageFlagsSet('1', ['\\Answered', 'one']);
    await c.messageFlagsRemove('1', ['one']);
    const row = await c.fetchOne('1', { flags: true });
    expect(row.flags.has('\\Answered') && !row.flags.has('one'), row);
    await c.messageDelete('2:3');
    expect(c.mailbox.exists === 2, c.mailbox.exists);
}));

check(['MOVE'], 'copy_and_move', () => session(async c => {
    await fresh(c, 'target');
    await fresh(c, 'source', 3);
    const copied = await c.messageCopy('1', 'target');
    expect(copied.uidMap.size === 1, copied);
    const moved = await c.messageMove('2:3', 'target');
    expect(moved.uidMap.size === 2, moved);
    expect((await c.status('target', { messages: true })).messages === 3, 'count');
    expect(c.mailbox.exists === 1, c.mailbox.exists);
}));

check(['UNSELECT'], 'rename_while_selected', () => session(async c => {
    await fresh(c, 'old name', 1);
    await c.messageFlagsAdd('1', ['\\Deleted']);
    await c.mailboxRename('old name', 'new name ' + Date.now());
    const box = (await c.list()).find(each => each.path.startsWith('new name'));
    expect((await c.status(box.path, { messages: true })).messages === 1, 'deleted mail went with the rename');
    await c.mailboxDelete(box.path);
}));

check(['IDLE'], 'idle_sees_new_mail', () => session(async c => {
    await fresh(c, 'idle', 1);
    const told = new Promise(resolve => c.on('exists', resolve));
    c.idle();
    await session(other => other.append('idle', message('arrives')));
    const event = await Promise.race([told, new Promise((_, no) => setTimeout(() => no(new Error('no EXISTS in 10 s')), 10000).unref())]);
    expect(event.count === 2 && event.prevCount === 1, event);
}));

check(['COMPRESS=DEFLATE'], 'compresses', () => session(async c => {
    expect(c._deflate && c._inflate, 'not compressed');
    await fresh(c, 'deflated');
    const body = 'the same line again and again\r\n'.repeat(20_000);
    await c.append('deflated', message('long', body));
    await c.mailboxOpen('deflated');
    const fetched = await c.fetchOne('1', { source: true });
    expect(fetched.source.toString().endsWith(body), fetched.source.length);
    await c.append('deflated', message('second'));
    expect((await c.search({ subject: 'second' })).length === 1, 'second');
}));

check(['COMPRESS=DEFLATE', 'STARTTLS'], 'compresses_within_tls', () => session(async c => {
    expect(c.secureConnection && c._deflate, 'not compressed, or not secured');
    expect((await c.list()).length >= 6, 'folders');
}, { doSTARTTLS: true }));

check(['CONDSTORE'], 'what_changed_since', () => session(async c => {
    expect(c.enabled.has('CONDSTORE'), c.enabled);
    await fresh(c, 'condstore', 4);
    const before = c.mailbox.highestModseq;
    expect(before > 0n && !c.mailbox.noModseq, c.mailbox);
    // Somebody else changes one message.
    await session(async other => {
        await other.mailboxOpen('condstore');
        await other.messageFlagsAdd('2', ['\\Flagged', 'theirs']);
    });
    const changed = [];
    for await (const m of c.fetch('1:*', { uid: true, flags: true }, { changedSince: before })) {
        changed.push(m);
    }
    expect(changed.length === 1 && changed[0].seq === 2 && changed[0].flags.has('theirs') && changed[0].modseq > before, changed);
    // What changed after `before` is left as it is, the rest is not.
    await c.messageFlagsAdd('1:4', ['mine'], { unchangedSince: before });
    const flags = [];
    for await (const m of c.fetch('1:4', { flags: true })) {
        flags.push(m.flags.has('mine'));
    }
    expect(flags.join() === 'true,false,true,true', flags);
    const found = await c.search({ modseq: changed[0].modseq + 1n }, { returnOptions: ['ALL'] });
    expect(found.all === '1,3:4' && found.modseq > changed[0].modseq, found);
    expect((await c.status('condstore', { highestModseq: true })).highestModseq === found.modseq, found);
}));

check(['QRESYNC'], 'comes_back_to_what_changed', async () => {
    const known = await session(async c => {
        expect(c.enabled.has('QRESYNC'), c.enabled);
        await fresh(c, 'qresync', 6);
        return { changedSince: c.mailbox.highestModseq, uidValidity: c.mailbox.uidValidity };
    }, { qresync: true });
    await session(async other => {
        await other.mailboxOpen('qresync');
        await other.messageFlagsAdd('1,6', ['\\Flagged']);
        await other.messageDelete('2:3');
        await other.append('qresync', message('later'));
    });
    await session(async c => {
        const told = { flags: [], gone: [] };
        c.on('flags', it => told.flags.push(it));
        c.on('expunge', it => told.gone.push(it));
        await c.mailboxOpen('qresync', known);
        expect(c.mailbox.qresync && c.mailbox.exists === 5, c.mailbox);
        expect(told.gone.map(it => it.uid).join() === '2,3' && told.gone.every(it => it.earlier), told);
        expect(told.flags.map(it => it.uid).join() === '1,6,7' && told.flags.every(it => it.modseq > known.changedSince), told);
        // From here on it is told as it happens, by UIDs.
        told.gone.length = 0;
        await session(async other => {
            await other.mailboxOpen('qresync');
            await other.messageDelete('4', { uid: true });
        });
        await c.noop();
        expect(told.gone.length === 1 && told.gone[0].uid === 4 && !told.gone[0].earlier && c.mailbox.exists === 4, told);
    }, { qresync: true });
});

check([], 'fetch_many', () => session(async c => {
    await fresh(c, 'many', 30);
    const seen = [];
    for await (const row of c.fetch('1:*', { uid: true, envelope: true, source: true, headers: ['subject'] })) {
        expect(row.source.equals(message(`message ${row.seq}`)), 'source of ' + row.seq);
        expect(row.headers.toString().trim() === `Subject: message ${row.seq}`, row.headers.toString());
        seen.push(row.seq);
    }
    expect(seen.length === 30, seen);
}));

async function main() {
    const only = process.argv.slice(2);
    let failed = 0;
    for (const { name, run } of checks.filter(each => !only.length || only.includes(each.name))) {
        try {
            await run();
            console.log(`ok imapflow_client.${name}`);
        } catch (error) {
            failed++;
            const response = error.responseText ? ` (${error.responseText})` : '';
            console.log(`FAILED imapflow_client.${name}: ${String(error.message).replace(/\s+/g, ' ').slice(0, 800)}${response}`);
        }
    }
    return failed ? 1 : 0;
}

main().then(code => process.exit(code));
