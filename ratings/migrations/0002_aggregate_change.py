import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ratings', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='AggregateChange',
            fields=[
                ('record', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='change', serialize=False, to='ratings.record')),
                ('version', models.BigIntegerField()),
            ],
        ),
        # Rows live for a fraction of a second: with the defaults, dead ones would slow down every look at the table
        # between two visits of autovacuum. The room in each page lets a new version stay in it, without touching the index.
        migrations.RunSQL(
            sql="ALTER TABLE ratings_aggregatechange SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0,"
            " autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_threshold = -1)",
            reverse_sql="ALTER TABLE ratings_aggregatechange RESET (fillfactor, autovacuum_vacuum_scale_factor,"
            " autovacuum_vacuum_threshold, autovacuum_vacuum_insert_threshold)",
        ),
    ]
