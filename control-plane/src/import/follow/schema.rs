//! Whether the source's schema is still the one that was copied: its changes are not published.

use super::super::Failure;
use super::super::check::{Session, list};
use super::{Trouble, query};
use std::collections::BTreeMap;

/// Names and definitions of what the source's user sees, as `(name, definition)`.
const SCHEMA: &str = "
    with space as (
        select oid from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
    class as (
        select c.oid, c.relkind, c.oid::regclass::text as called
        from pg_class c join space on space.oid = c.relnamespace
        where c.relpersistence <> 't'
          and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                          and d.objid = c.oid and d.deptype = 'e'))
    select 'table ' || called,
           md5(relkind::text || coalesce((
               select string_agg(concat_ws(' ', quote_ident(attname),
                          format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
                          pg_get_expr(adbin, adrelid)), ',' order by attnum)
               from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
               where a.attrelid = class.oid and a.attnum > 0 and not attisdropped), '')
               || coalesce(pg_get_partkeydef(class.oid), '') || coalesce((
               select pg_get_expr(relpartbound, oid) from pg_class p where p.oid = class.oid), ''))
    from class where relkind in ('r', 'p', 'f')
    union all
    select 'view ' || called, md5(pg_get_viewdef(class.oid)) from class where relkind in ('v', 'm')
    union all
    select 'index ' || called, md5(pg_get_indexdef(class.oid))
    from class join pg_index i on i.indexrelid = class.oid where indisvalid
    union all
    select 'sequence ' || called, concat_ws(' ', seqtypid, seqstart, seqincrement, seqmin, seqmax,
                                            seqcache, seqcycle)
    from class join pg_sequence s on s.seqrelid = class.oid
    union all
    select 'constraint ' || conname || ' of ' || coalesce(class.called, contypid::regtype::text),
           md5(pg_get_constraintdef(k.oid))
    from pg_constraint k join space on space.oid = k.connamespace
    left join class on class.oid = k.conrelid
    where class.oid is not null or contypid <> 0
    union all
    select 'trigger ' || tgname || ' of ' || called, md5(tgenabled::text || pg_get_triggerdef(t.oid))
    from pg_trigger t join class on class.oid = t.tgrelid where not tgisinternal
    union all
    select 'rule ' || rulename || ' of ' || called, md5(ev_enabled::text || pg_get_ruledef(r.oid))
    from pg_rewrite r join class on class.oid = r.ev_class where rulename <> '_RETURN'
    union all
    select 'policy ' || polname || ' of ' || called,
           md5(concat_ws(' ', polcmd, polpermissive, pg_get_expr(polqual, polrelid),
                         pg_get_expr(polwithcheck, polrelid)))
    from pg_policy p join class on class.oid = p.polrelid
    union all
    select 'function ' || p.oid::regprocedure,
           md5(case when prokind = 'a' then '' else pg_get_functiondef(p.oid) end)
    from pg_proc p join space on space.oid = p.pronamespace
    where not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass
                      and d.objid = p.oid and d.deptype = 'e')
    union all
    select 'type ' || t.oid::regtype, md5(concat_ws(' ', typtype, (
               select string_agg(quote_literal(enumlabel), ',' order by enumsortorder)
               from pg_enum e where e.enumtypid = t.oid)))
    from pg_type t join space on space.oid = t.typnamespace
    where typtype in ('d', 'e', 'r') and not exists (
        select from pg_depend d where d.classid = 'pg_type'::regclass
        and d.objid = t.oid and d.deptype = 'e')
    order by 1, 2";

/// The source's schema now.
pub(super) async fn read(source: &Session) -> Result<Vec<Vec<String>>, Trouble> {
    query(source, "set search_path = pg_catalog").await?;
    query(source, SCHEMA).await
}

/// As it was copied.
pub(super) async fn read_copied(target: &Session) -> Result<Vec<Vec<String>>, Trouble> {
    query(
        target,
        "select name, definition from lumadb_import.source_schema",
    )
    .await
}

/// The error names what differs, and says what to do.
pub(super) fn is_same(copied: &[Vec<String>], now: &[Vec<String>]) -> Result<(), Trouble> {
    let differing = differing(copied, now);
    if differing.is_empty() {
        return Ok(());
    }
    Err(changed(&list(&differing)))
}

pub(super) fn changed(what: &str) -> Trouble {
    Trouble::Lasting(Failure::new(format!(
        "The schema of the source changed while it was followed: {what}. Such changes do not \
         arrive. Begin a new import, and leave the schema alone until it has switched over."
    )))
}

/// Names of what was added, removed or changed.
fn differing(copied: &[Vec<String>], now: &[Vec<String>]) -> Vec<String> {
    let by_name = |rows: &[Vec<String>]| -> BTreeMap<String, Option<String>> {
        rows.iter()
            .filter_map(|row| Some((row.first()?.clone(), row.get(1).cloned())))
            .collect()
    };
    let (copied, now) = (by_name(copied), by_name(now));
    copied
        .keys()
        .chain(now.keys().filter(|name| !copied.contains_key(*name)))
        .filter(|name| copied.get(*name) != now.get(*name))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let rows = |rows: &[(&str, &str)]| -> Vec<Vec<String>> {
            rows.iter()
                .map(|(name, definition)| vec![(*name).into(), (*definition).into()])
                .collect()
        };
        let copied = rows(&[("table a", "1"), ("table b", "2"), ("view c", "3")]);
        assert!(is_same(&copied, &copied).is_ok());
        let now = rows(&[("table a", "1"), ("table b", "4"), ("index d", "5")]);
        assert_eq!(differing(&copied, &now), ["table b", "view c", "index d"]);
        let Err(Trouble::Lasting(failure)) = is_same(&copied, &now) else {
            panic!("it does not pass by itself");
        };
        assert!(
            failure.to_string().contains("table b, view c, index d"),
            "{failure}"
        );
    }
}
