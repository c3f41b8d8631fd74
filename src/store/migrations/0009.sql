-- When the latest event that was read happened, by the provider's clock: events of other people's folders count as well, and are not kept.
ALTER TABLE account ADD COLUMN newest_event INTEGER;
UPDATE account SET newest_event = (SELECT max(at) FROM event WHERE event.account = account.account);
