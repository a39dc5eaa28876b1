from django.db import migrations

FUNCTIONS = r"""
CREATE FUNCTION customers_write_company_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_text := public.folded(' ' || NEW.name || ' ' || NEW.domain);
    RETURN NEW;
END
$$;

-- Each word begins behind a space. Of a number that is valid, E.164 has all digits there are.
CREATE FUNCTION customers_write_customer_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_text := public.folded(concat_ws(' ', '', NEW.given_name, NEW.family_name, NEW.email,
        regexp_replace(CASE NEW.phone_e164 WHEN '' THEN NEW.phone ELSE NEW.phone_e164 END, '\D', '', 'g'),
        (SELECT name FROM public.customers_company WHERE id = NEW.company_id)));
    RETURN NEW;
END
$$;

-- Touched, the column is written anew.
CREATE FUNCTION customers_rename_employer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.customers_customer SET search_text = '' WHERE company_id = NEW.id;
    RETURN NULL;
END
$$;
"""
TRIGGERS = """
CREATE TRIGGER company_search_text BEFORE INSERT OR UPDATE OF name, domain, search_text ON customers_company
    FOR EACH ROW EXECUTE FUNCTION customers_write_company_search_text();
CREATE TRIGGER customer_search_text BEFORE INSERT
    OR UPDATE OF given_name, family_name, email, phone, phone_e164, company_id, search_text ON customers_customer
    FOR EACH ROW EXECUTE FUNCTION customers_write_customer_search_text();
CREATE TRIGGER company_renamed AFTER UPDATE OF name ON customers_company
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION customers_rename_employer();
"""
# A word that one in a thousand customers has is told from one that one in a hundred has: the planner then knows
# whether to look it up or to leaf through the newest customers.
STATISTICS = "ALTER TABLE customers_customer ALTER COLUMN search_text SET STATISTICS 1000"


class Migration(migrations.Migration):
    dependencies = (("common", "0001_folded"), ("customers", "0002_working_day"))
    operations = (
        migrations.RunSQL(
            FUNCTIONS,
            "DROP FUNCTION customers_write_company_search_text, customers_write_customer_search_text,"
            " customers_rename_employer",
        ),
        migrations.RunSQL(
            TRIGGERS,
            "DROP TRIGGER company_search_text ON customers_company;"
            "DROP TRIGGER company_renamed ON customers_company;"
            "DROP TRIGGER customer_search_text ON customers_customer",
        ),
        migrations.RunSQL(STATISTICS, migrations.RunSQL.noop),
    )
