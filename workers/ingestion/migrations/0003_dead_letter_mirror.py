from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingestion', '0002_delivery'),
    ]

    operations = [
        migrations.AddField(
            model_name='deadletter',
            name='mirrored_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='deadletter',
            name='mirror_refusal',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
        migrations.AddIndex(
            model_name='deadletter',
            index=models.Index(condition=models.Q(('mirrored_at__isnull', True)), fields=['id'], name='ingestion_letter_unmirrored'),
        ),
    ]
