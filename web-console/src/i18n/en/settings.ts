/** A database's settings, and its deletion. */
export const settings = {
  settings: {
    name: "Name",
    nameLead: "Connection strings do not hold it, so nothing else changes.",
    renamed: "The database is renamed.",
    size: "Compute size",
    sizeLead: "Takes a restart of the server, hidden between transactions.",
    resize: "Resize",
    resizeAccepted: "The database is being resized.",
    durability: "Durability",
    durabilityLead:
      "When a client hears that its transaction is committed. Open sessions begin anew.",
    durabilitySave: "Change durability",
    durabilityAccepted: "The durability is being changed.",
    networks: "Allowed networks",
    networksLead:
      "Clients from elsewhere are refused before they are asked for a password, and open sessions end. The SQL editor and imports stay open to you.",
    networksHint: "One network or address a line. Empty: clients may come from everywhere.",
    networksMine: "Add my address, {{address}}",
    protection: "Deletion protection",
    protectionLead: "While it is on, nobody can delete this database, by console or by API.",
    protectionLabel: "Protect this database",
    saved: "Saved.",
  },
  deletion: {
    title: "Delete this database",
    lead: "The database, its roles and all of its data.",
    protected: "Deletion protection is on. Turn it off above first.",
    action: "Delete database",
    ask: "Delete {{name}}?",
    text: "Open connections are closed and its address is gone. For as long as your plan’s window reaches back you can restore it from the list of databases; after that nobody can.",
    accepted: "{{name}} is being deleted.",
  },
} as const;
